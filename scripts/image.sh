#!/usr/bin/env bash
# Builds, runs and tries out the image; engine.sh finds what can do that here.
#
#   scripts/image.sh build cpu|cuda
#   scripts/image.sh run   cpu|cuda [ARGUMENTS]     here, in this folder; default: serve
#   scripts/image.sh smoke cpu|cuda                 builds it, then uses it as users do
#   scripts/image.sh save  cpu|cuda FILE            builds it, and writes it as docker save does
#
# Where no engine can run, smoke says so and tries the same entry points without an image.
# IMAGE names the image (default face-blur:VARIANT), MODELS the pack that is baked in (default: open,
# or the pack that make setup had to take instead).
set -euo pipefail
folder=$PWD
cd "$(dirname "$0")/.."
. scripts/engine.sh

verb=${1:-} variant=${2:-}
case $verb:$variant in
build:cpu | build:cuda | run:cpu | run:cuda | smoke:cpu | smoke:cuda | save:cpu | save:cuda) shift 2 ;;
*)
    sed -n '4,7s/^# *//p' "$0" >&2
    exit 2
    ;;
esac
image=${IMAGE:-face-blur:$variant}
if [ -z "${MODELS:-}" ]; then
    MODELS=open
    if [ ! -e models/open/face-reidentification-retail-0095.onnx ] && [ -e models/dlib/dlib-resnet.onnx ]; then
        MODELS=dlib
        echo 'image.sh: WARNING: the pack open could not be fetched; the image gets the pack dlib' >&2
    fi
fi
container='' media='' server=''

finish() {
    [ -z "$container" ] || "${engine[@]}" rm --force "$container" >/dev/null 2>&1 || true
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    [ -z "$media" ] || rm -rf "$media"
    stop_engine
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

die() {
    echo "image.sh: $*" >&2
    exit 1
}

build() {
    local revision begin=$SECONDS
    revision=$(git rev-parse --short HEAD 2>/dev/null || echo unknown)
    say "building $image"
    local command=("${engine[@]}" build "${build_flags[@]}" --build-arg "VARIANT=$variant")
    command+=(--build-arg "MODELS=$MODELS" --build-arg "REVISION=$revision" --tag "$image" .)
    if ! quietly build "${command[@]}"; then
        # Podman fails once in a while in sealing a file of its own; nothing of ours is wrong then.
        grep -q 'sealing memfd' "$cache/build.log" || die "the build failed; see $cache/build.log"
        quietly build "${command[@]}" || die "the build failed twice; see $cache/build.log"
    fi
    local size
    size=$("${engine[@]}" image inspect -f '{{.Size}}' "$image")
    say "built $image: $((size / 1000000)) MB in $((SECONDS - begin)) s"
    # By age: layers that no image names are the cache of the next build.
    "${engine[@]}" image prune --force --filter until=336h >/dev/null 2>&1 || true
}

make_media() {
    media=$(mktemp -d)
    chmod 755 "$media"
    .venv/bin/python -m scripts.smoke_media "$media"
    cp scripts/smoke.py "$media"
    mkdir -m 777 "$media/out"
}

# The way the image is meant to run: no network, nothing to write to but a spool, no privilege.
locked=(--network none --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges)

in_image() {
    "${engine[@]}" run --rm --no-healthcheck "${locked[@]}" \
        -v "$media:/smoke:ro" -v "$media/out:/out" "$@"
}
inside() { "${engine[@]}" exec "$container" "$@"; }

smoke_commands() {
    in_image "$image" models verify "$MODELS" || die 'models verify failed'
    in_image --entrypoint python3 "$image" /smoke/smoke.py contents "$variant" ||
        die 'the image has what it should not, or lacks what it should have'
    in_image "$image" blur /smoke/clip.mp4 -o /out/hidden.mp4 --people /smoke/people --quiet ||
        die 'blur failed'
    in_image --entrypoint python3 "$image" /smoke/smoke.py hidden /out/hidden.mp4 ||
        die 'blur has not hidden who it should, or not only them'
    # A pack of another name, where SageMaker unpacks a model archive.
    mkdir "$media/model"
    cp -R "models/$MODELS" "$media/model/given"
    in_image -v "$media/model:/opt/ml/model:ro" "$image" models verify given ||
        die 'a pack given at run time is not found'
    say 'commands: models verify, blur'
}

# Where there is no GPU, asking for one must stop the service at once, with one line.
smoke_device() {
    [ ! -e /dev/nvidiactl ] || return 0
    local said code=0
    said=$(in_image -e FACE_BLUR_DEVICE=cuda "$image" serve 2>&1) || code=$?
    case "$code$said" in
    3*'a GPU was asked for'*) say 'a GPU that is not there is refused' ;;
    *) die "a GPU that is not there: exit code $code: $said" ;;
    esac
}

smoke_service() {
    local health=(--health-interval 1s) state='' code begin
    [ "$ENGINE" != podman ] || health=(--no-healthcheck) # its own need a timer of systemd
    container=$("${engine[@]}" run -d "${locked[@]}" "${health[@]}" --memory 3g \
        -v "$media:/smoke:ro" "$image" serve)
    if ! inside python3 /smoke/smoke.py service http://127.0.0.1:8080; then
        "${engine[@]}" logs "$container" >&2
        die 'the service is not as it should be'
    fi
    if [ "$ENGINE" != podman ]; then
        for _ in $(seq 50); do
            state=$("${engine[@]}" inspect -f '{{.State.Health.Status}}' "$container")
            [ "$state" != healthy ] || break
            sleep 0.2
        done
        [ "$state" = healthy ] || die "the health check says: $state"
    fi
    [ -z "$(inside find /tmp -type f -size +64k)" ] || die 'a request has left files in the spool'
    begin=$(date +%s%N)
    "${engine[@]}" stop --time 30 "$container" >/dev/null
    code=$("${engine[@]}" inspect -f '{{.State.ExitCode}}' "$container")
    [ "$code" = 0 ] || die "after SIGTERM the exit code is $code"
    say "service: ping, video, plan, people; ended by SIGTERM in $((($(date +%s%N) - begin) / 1000000)) ms"
}

unpackaged() {
    local bar='=====================================================================' port code=0
    printf '%s\n' "$bar" "NO IMAGE WAS BUILT OR TRIED: $no_engine." \
        'The same entry points are tried without an image. Run this where an engine is.' "$bar" >&2
    export PATH=$PWD/.venv/bin:$PATH TMPDIR=$media/out ORT_DISABLE_TELEMETRY=1 SVT_LOG=1
    local entry=scripts/entrypoint.sh
    "$entry" models verify "$MODELS"
    "$entry" blur "$media/clip.mp4" -o "$media/hidden.mp4" --people "$media/people" --quiet
    python3 "$media/smoke.py" hidden "$media/hidden.mp4"
    port=$(python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
    SAGEMAKER_BIND_TO_PORT=$port "$entry" serve >"$media/serve.log" 2>&1 &
    server=$!
    if ! python3 "$media/smoke.py" service "http://127.0.0.1:$port"; then
        cat "$media/serve.log" >&2
        die 'the service is not as it should be'
    fi
    kill -TERM "$server"
    wait "$server" || code=$?
    server=''
    [ "$code" = 0 ] || die "after SIGTERM the exit code is $code"
}

run() {
    local flags=(--publish 127.0.0.1:8080:8080)
    [ "$ENGINE" = docker ] || flags=(--network host) # the network that a private engine has
    [ "$variant" = cpu ] || flags+=(--gpus all)
    if [ -t 0 ]; then flags+=(--interactive --tty); fi
    flags+=(--read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges)
    flags+=(--user "$(id -u):$(id -g)" --volume "$folder:/data" --workdir /data)
    "${engine[@]}" run --rm "${flags[@]}" "$image" "${@:-serve}"
}

case $verb in
save)
    case ${1:-} in
    /*) ;;
    *) set -- "$folder/${1:?FILE is missing}" ;;
    esac
    start_engine || die "no image can be built here: $no_engine"
    build
    "${engine[@]}" save --output "$1" "$image"
    ;;
smoke)
    make_media
    if start_engine; then
        build
        smoke_commands
        smoke_device
        smoke_service
        say "$image: all well"
    else
        unpackaged
    fi
    ;;
*)
    start_engine || die "no image can be built here: $no_engine"
    if [ "$verb" = build ] || ! "${engine[@]}" image inspect "$image" >/dev/null 2>&1; then
        build
    fi
    [ "$verb" = build ] || run "$@"
    ;;
esac
