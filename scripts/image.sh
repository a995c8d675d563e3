#!/usr/bin/env bash
# Build, run, push and test the image with docker or podman.
#
#   scripts/image.sh build cpu|cuda
#   scripts/image.sh run   cpu|cuda [ARGUMENTS]       run it in this folder (default: serve)
#   scripts/image.sh smoke cpu|cuda                   build it, then use it as users do
#   scripts/image.sh save  cpu|cuda FILE              build it, then write an archive (docker save)
#   scripts/image.sh sbom  cpu|cuda FILE              build it, then write what it holds (CycloneDX)
#   scripts/image.sh push  cpu|cuda NAME:TAG DIGEST   build and push it; write its digest to DIGEST
#
# Environment:
#   IMAGE        name of the image (default: face-blur:VARIANT)
#   MODELS       model pack in the image (default: open, or the pack that `make setup` installed)
#   USER_ID      user of the program in the image (default: that of the Dockerfile; push: 0, root)
#   ENGINE       docker or podman (default: the first one that answers)
#   ENGINE_HOOK  a file to source that replaces start_engine and stop_engine below
#
# push reads the password of the registry's user AWS from stdin. Without an engine, smoke says so and
# tests the same entry points outside an image.
set -euo pipefail
folder=$PWD
hook=${ENGINE_HOOK:+$(realpath "$ENGINE_HOOK")}
cd "$(dirname "$0")/.."

verb=${1:-} variant=${2:-}
case $verb:$variant in
build:cpu | build:cuda | run:cpu | run:cuda | smoke:cpu | smoke:cuda) shift 2 ;;
save:cpu | save:cuda | sbom:cpu | sbom:cuda | push:cpu | push:cuda) shift 2 ;;
*)
    sed -n '4,9s/^# *//p' "$0" >&2
    exit 2
    ;;
esac
image=${IMAGE:-face-blur:$variant}
if [ -z "${MODELS:-}" ]; then
    MODELS=open
    if [ ! -e models/open/face-reidentification-retail-0095.onnx ] && [ -e models/dlib/dlib-resnet.onnx ]; then
        MODELS=dlib
        echo 'image.sh: WARNING: the pack open is not installed; the image gets the pack dlib' >&2
    fi
fi
user=${USER_ID:-}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/face-blur/container
container='' media='' server='' registry=''

say() { printf '[%4ds] %s\n' "$SECONDS" "$*" >&2; }

die() {
    echo "image.sh: $*" >&2
    exit 1
}

# quietly LOG COMMAND...: run a command, and show the end of its output only if it fails.
quietly() {
    local log=$cache/$1.log
    shift
    "$@" >"$log" 2>&1 || { tail -n 20 "$log" >&2; return 1; }
}

# start_engine finds an engine. It sets ENGINE, engine (its command), build_flags (options of its
# `build`) and run_flags (how `run` publishes the port), or fails with a reason in no_engine.
engine=() build_flags=() run_flags=(--publish 127.0.0.1:8080:8080) no_engine=''
start_engine() {
    local name names=${ENGINE:-docker podman}
    for name in $names; do
        if timeout 20 "$name" info >/dev/null 2>&1; then
            ENGINE=$name engine=("$name")
            export DOCKER_BUILDKIT=1
            # Only this format keeps HEALTHCHECK.
            [ "$name" != podman ] || build_flags+=(--format docker)
            return 0
        fi
    done
    no_engine="no running engine was found; tried: $names"
    return 1
}
stop_engine() { :; }
# shellcheck source=/dev/null
[ -z "$hook" ] || . "$hook"

find_engine() {
    mkdir -p "$cache"
    start_engine || return 1
    if [ -s "${SSL_CERT_FILE:-}" ]; then
        build_flags+=(--secret "id=ca_bundle,src=$SSL_CERT_FILE")
    fi
    say "engine: $ENGINE ($("${engine[@]}" --version))"
}

finish() {
    [ -z "$container" ] || "${engine[@]}" rm --force "$container" >/dev/null 2>&1 || true
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    [ -z "$media" ] || rm -rf "$media"
    [ -z "$registry" ] || "${engine[@]}" logout "$registry" >/dev/null 2>&1 || true
    stop_engine
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Set `arguments` to the arguments that every build has.
build_arguments() {
    local revision
    revision=$(git rev-parse --short HEAD 2>/dev/null || echo unknown)
    arguments=("${build_flags[@]}" --build-arg "VARIANT=$variant" --build-arg "MODELS=$MODELS")
    arguments+=(--build-arg "REVISION=$revision")
    [ -z "$user" ] || arguments+=(--build-arg "USER_ID=$user")
}

build() {
    local begin=$SECONDS size arguments command
    say "building $image"
    build_arguments
    command=("${engine[@]}" build "${arguments[@]}" --tag "$image" .)
    if ! quietly build "${command[@]}"; then
        # Podman sometimes fails to seal a file of its own; a second attempt succeeds.
        grep -q 'sealing memfd' "$cache/build.log" || die "the build failed; see $cache/build.log"
        quietly build "${command[@]}" || die "the build failed twice; see $cache/build.log"
    fi
    size=$("${engine[@]}" image inspect -f '{{.Size}}' "$image")
    say "built $image: $((size / 1000000)) MB in $((SECONDS - begin)) s"
    # Delete by age only: layers without a name are the cache of the next build.
    "${engine[@]}" image prune --force --filter until=336h >/dev/null 2>&1 || true
}

# push NAME:TAG DIGEST_FILE: push a manifest of Docker's version 2, schema 2. SageMaker refuses OCI
# manifests, and the index that a provenance record needs. Engines without buildx push no others.
push() {
    local target=$1 digest=$2
    registry=${target%%/*}
    "${engine[@]}" login --username AWS --password-stdin "$registry" >&2 ||
        die "cannot log in to $registry"
    if [ "$ENGINE" != podman ] && "${engine[@]}" buildx version >/dev/null 2>&1; then
        build_and_push "$target" "$digest"
    else
        build
        push_built "$target" "$digest"
    fi
    [ -s "$digest" ] || die "$ENGINE reported no digest"
}

build_and_push() {
    local target=$1 digest=$2 arguments
    say "building and pushing $target"
    build_arguments
    "${engine[@]}" buildx build "${arguments[@]}" --platform linux/amd64 --provenance=false \
        --metadata-file "$digest.json" \
        --output "type=image,name=$target,oci-mediatypes=false,push=true" . >&2 ||
        die 'the build or the push failed'
    sed -n 's/.*"containerimage.digest": *"\(sha256:[0-9a-f]*\)".*/\1/p' "$digest.json" >"$digest"
    rm "$digest.json"
}

push_built() {
    local target=$1 digest=$2 platform
    platform=$("${engine[@]}" image inspect -f '{{.Os}}/{{.Architecture}}' "$image")
    [ "$platform" = linux/amd64 ] || die "the image is for $platform, not linux/amd64"
    say "pushing $target"
    if [ "$ENGINE" = podman ]; then
        "${engine[@]}" push --format v2s2 --digestfile "$digest" "$image" "docker://$target" >&2 ||
            die 'the push failed'
        return 0
    fi
    "${engine[@]}" tag "$image" "$target"
    "${engine[@]}" push "$target" >&2 || die 'the push failed'
    "${engine[@]}" image inspect -f '{{range .RepoDigests}}{{println .}}{{end}}' "$target" |
        sed -n "s|^${target%:*}@||p" >"$digest"
}

make_media() {
    media=$(mktemp -d)
    chmod 755 "$media"
    .venv/bin/python -m testmedia.smoke_media "$media"
    cp scripts/smoke.py "$media"
    mkdir -m 777 "$media/out"
    mkdir "$media/videos"
    cp "$media/clip.mp4" "$media/videos"
}

# How the image is meant to run: only /tmp writable, no privileges; in tests also no network.
confined=(--read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges)
locked=(--network none "${confined[@]}")

in_image() {
    "${engine[@]}" run --rm --no-healthcheck "${locked[@]}" \
        -v "$media:/smoke:ro" -v "$media/out:/out" "$@"
}
inside() { "${engine[@]}" exec "$container" "$@"; }

smoke_commands() {
    in_image "$image" models verify "$MODELS" || die 'models verify failed'
    in_image "$image" doctor --json >"$media/doctor.json" || die 'doctor failed'
    grep -q '"faults": \[\]' "$media/doctor.json" || die 'doctor finds a fault'
    in_image --entrypoint python3 "$image" /smoke/smoke.py contents "$variant" ||
        die 'the contents of the image are wrong'
    in_image "$image" blur /smoke/clip.mp4 -o /out/hidden.mp4 --people /smoke/people --quiet ||
        die 'blur failed'
    in_image --entrypoint python3 "$image" /smoke/smoke.py hidden /out/hidden.mp4 ||
        die 'blur hid the wrong people'
    in_image "$image" process --input /smoke/videos --people /smoke/people --output /out/job || die 'process failed'
    in_image --entrypoint python3 "$image" /smoke/smoke.py hidden /out/job/clip.mp4 ||
        die 'process hid the wrong people'
    # A pack of another name, in the folder where SageMaker unpacks a model archive.
    mkdir "$media/model"
    cp -R "models/$MODELS" "$media/model/given"
    in_image -v "$media/model:/opt/ml/model:ro" "$image" models verify given ||
        die 'a pack given at run time is not found'
    say 'commands: models verify, doctor, blur, process'
}

# As SageMaker runs a Processing job: its folders belong to root, as do the volumes here. The image for
# users must refuse them; the one for SageMaker must write results there, and the reason of a failure.
smoke_sagemaker() {
    local said code=0 mounts=(-v "$media/videos:/opt/ml/processing/input:ro")
    mounts+=(-v "$media/people:/opt/ml/processing/people:ro")
    mounts+=(-v /opt/ml/processing/output -v /opt/ml/output)
    said=$(in_image "${mounts[@]}" "$image" process 2>&1) || code=$?
    case "$code$said" in
    2*USER_ID=0*) ;;
    *) die "folders of root: exit code $code: $said" ;;
    esac
    local user=0 image=$image-user-0
    build
    in_image "${mounts[@]}" --entrypoint sh "$image" -euc '
        /opt/scripts/entrypoint.sh process
        python3 /smoke/smoke.py hidden /opt/ml/processing/output/clip.mp4
        ! /opt/scripts/entrypoint.sh process --input /opt/none
        grep -q "input folder is missing" /opt/ml/output/message' ||
        die 'the image for SageMaker cannot use folders of root'
    say 'folders of root: refused by the image for users, used by the image for SageMaker'
}

# Without a GPU, a request for one must stop the service at once, with one line.
smoke_device() {
    [ ! -e /dev/nvidiactl ] || return 0
    local said code=0
    said=$(in_image -e FACE_BLUR_DEVICE=cuda "$image" serve 2>&1) || code=$?
    case "$code$said" in
    3*GPU*) say 'device: a missing GPU is refused' ;;
    *) die "a missing GPU: exit code $code: $said" ;;
    esac
}

smoke_service() {
    local health=(--health-interval 1s) state='' code begin
    [ "$ENGINE" != podman ] || health=(--no-healthcheck) # podman's health checks need a systemd timer
    container=$("${engine[@]}" run -d "${locked[@]}" "${health[@]}" --memory 3g \
        -v "$media:/smoke:ro" "$image" serve)
    if ! inside python3 /smoke/smoke.py service http://127.0.0.1:8080; then
        "${engine[@]}" logs "$container" >&2
        die 'the service failed its checks'
    fi
    # The first process of the container is the service.
    if ! inside python3 /smoke/smoke.py crash http://127.0.0.1:8080 1; then
        "${engine[@]}" logs "$container" >&2
        die 'the service failed after the end of its child'
    fi
    if [ "$ENGINE" != podman ]; then
        for _ in $(seq 50); do
            state=$("${engine[@]}" inspect -f '{{.State.Health.Status}}' "$container")
            [ "$state" != healthy ] || break
            sleep 0.2
        done
        [ "$state" = healthy ] || die "the health check says: $state"
    fi
    [ -z "$(inside find /tmp -type f -size +64k)" ] || die 'a request left files in the spool'
    begin=$(date +%s%N)
    "${engine[@]}" stop --time 30 "$container" >/dev/null
    code=$("${engine[@]}" inspect -f '{{.State.ExitCode}}' "$container")
    [ "$code" = 0 ] || die "after SIGTERM the exit code is $code"
    say "service: ping, video, plan, people, killed child; ended by SIGTERM in $((($(date +%s%N) - begin) / 1000000)) ms"
}

# loudly LINE...: print a notice that cannot be overlooked.
loudly() {
    local bar='====================================================================='
    printf '%s\n' "$bar" "$@" "$bar" >&2
}

unpackaged() {
    local port code=0
    loudly "NO IMAGE WAS BUILT OR TESTED: $no_engine." \
        'Testing the same entry points without an image. Run this where an engine is available.'
    export PATH=$PWD/.venv/bin:$PATH TMPDIR=$media/out ORT_DISABLE_TELEMETRY=1 SVT_LOG=1
    local entry=scripts/entrypoint.sh
    "$entry" models verify "$MODELS"
    "$entry" blur "$media/clip.mp4" -o "$media/hidden.mp4" --people "$media/people" --quiet
    python3 "$media/smoke.py" hidden "$media/hidden.mp4"
    "$entry" process --input "$media/videos" --people "$media/people" --output "$media/job"
    python3 "$media/smoke.py" hidden "$media/job/clip.mp4"
    port=$(python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
    SAGEMAKER_BIND_TO_PORT=$port "$entry" serve >"$media/serve.log" 2>&1 &
    server=$!
    if ! { python3 "$media/smoke.py" service "http://127.0.0.1:$port" &&
        python3 "$media/smoke.py" crash "http://127.0.0.1:$port" "$server"; }; then
        cat "$media/serve.log" >&2
        die 'the service failed its checks'
    fi
    kill -TERM "$server"
    wait "$server" || code=$?
    server=''
    [ "$code" = 0 ] || die "after SIGTERM the exit code is $code"
}

# sbom FILE: write the bill of materials of the built image. Its own Python lists what it holds.
sbom() {
    [ -n "$media" ] || media=$(mktemp -d)
    "${engine[@]}" image inspect "$image" >"$media/inspect.json"
    "${engine[@]}" run --rm --interactive --no-healthcheck "${locked[@]}" --entrypoint python3 "$image" \
        -I - <scripts/sbom/contents.py >"$media/contents.json" || die 'the contents of the image cannot be listed'
    .venv/bin/python -m scripts.sbom "$media/inspect.json" "$media/contents.json" "$1" ||
        die 'the bill of materials cannot be made'
}

run() {
    local flags=("${run_flags[@]}")
    [ "$variant" = cpu ] || flags+=(--gpus all)
    if [ -t 0 ]; then flags+=(--interactive --tty); fi
    flags+=("${confined[@]}")
    flags+=(--user "$(id -u):$(id -g)" --volume "$folder:/data" --workdir /data)
    "${engine[@]}" run --rm "${flags[@]}" "$image" "${@:-serve}"
}

case $verb in
save)
    case ${1:-} in
    /*) ;;
    *) set -- "$folder/${1:?FILE is missing}" ;;
    esac
    find_engine || die "no image can be built: $no_engine"
    build
    "${engine[@]}" save --output "$1" "$image"
    ;;
sbom)
    case ${1:-} in
    /*) ;;
    *) set -- "$folder/${1:?FILE is missing}" ;;
    esac
    if ! find_engine; then
        loudly "NO BILL OF MATERIALS WAS WRITTEN: $no_engine." 'Run this where an engine is available.'
        exit 1
    fi
    build
    sbom "$1"
    say "bill of materials: $1"
    ;;
push)
    case ${2:-} in
    /*) ;;
    *) set -- "${1:?NAME:TAG is missing}" "$folder/${2:?DIGEST is missing}" ;;
    esac
    find_engine || die "no image can be built: $no_engine"
    # SageMaker's folders belong to root. The image for this machine keeps its name.
    user=${USER_ID:-0} image=$image-user-${USER_ID:-0}
    push "$@"
    ;;
smoke)
    make_media
    if find_engine; then
        build
        smoke_commands
        smoke_sagemaker
        smoke_device
        smoke_service
        sbom "$media/sbom.json"
        say "$image: all checks passed"
    else
        unpackaged
    fi
    ;;
*)
    find_engine || die "no image can be built: $no_engine"
    if [ "$verb" = build ] || ! "${engine[@]}" image inspect "$image" >/dev/null 2>&1; then
        build
    fi
    [ "$verb" = build ] || run "$@"
    ;;
esac
