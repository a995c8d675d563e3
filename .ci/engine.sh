# shellcheck shell=bash disable=SC2034,SC2154 # variables are shared with scripts/image.sh
# A container engine for continuous integration, where no docker runs. scripts/image.sh sources this
# file (ENGINE_HOOK); it replaces start_engine and stop_engine there. ENGINE chooses one of these:
#
# docker   a running engine: nothing to do
# dockerd  as root on Debian: a private daemon from Debian's packages, unpacked but not installed
# podman   as root on Debian: installed if the private daemon does not start
#
# The last two build on a base image made by debootstrap, as no image registry may be reachable.

suite=bookworm daemon=''

start_engine() {
    if [ "${ENGINE:-docker}" = docker ] && timeout 20 docker info >/dev/null 2>&1; then
        ENGINE=docker engine=(docker)
        export DOCKER_BUILDKIT=1
    elif [ "${ENGINE:-}" = docker ]; then
        no_engine='docker info does not answer'
    elif [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        no_engine='docker info does not answer, and this is not root on Debian'
    elif [ "${ENGINE:-dockerd}" = dockerd ] && start_dockerd; then
        ENGINE=dockerd
    elif [ "${ENGINE:-podman}" = podman ] && start_podman; then
        ENGINE=podman
    else
        no_engine='neither a private dockerd nor podman could be started'
    fi
    if [ -z "$no_engine" ] && [ "$ENGINE" != docker ]; then
        # A private engine has no network of its own.
        run_flags=(--network host)
        make_base || no_engine='the base image could not be made'
    fi
    [ -z "$no_engine" ]
}

stop_engine() {
    if [ -n "$daemon" ]; then
        kill "$daemon" 2>/dev/null || true
        wait "$daemon" 2>/dev/null || true
        daemon=''
    fi
}

# unpack FOLDER PACKAGE...: unpack Debian packages without installing them.
unpack() {
    local folder=$cache/$1 package
    shift
    [ ! -e "$folder/done" ] || return 0
    rm -rf "$folder"
    mkdir -p "$folder/packages"
    quietly apt apt-get update || return 1
    (cd "$folder/packages" && quietly apt apt-get download "$@") || return 1
    for package in "$folder"/packages/*.deb; do
        dpkg -x "$package" "$folder" || return 1
    done
    rm -rf "$folder/packages"
    touch "$folder/done"
}

# Lock the store of the private engine until this script ends.
lock() {
    exec 9>"$cache/lock"
    if ! flock --nonblock 9; then
        say 'another build is running; waiting for it'
        flock 9
    fi
}

start_dockerd() {
    local home=$cache/dockerd
    lock
    unpack docker docker.io containerd runc || return 1
    mkdir -p "$home"
    export PATH=$cache/docker/usr/bin:$cache/docker/usr/sbin:$PATH:/usr/sbin
    export DOCKER_HOST=unix://$home/socket DOCKER_CONFIG=$home/client DOCKER_BUILDKIT=1
    echo '{}' >"$home/daemon.json"
    dockerd --config-file "$home/daemon.json" --host "$DOCKER_HOST" --pidfile "$home/pid" \
        --data-root "$home/data" --exec-root "$home/exec" --storage-driver overlay2 \
        --bridge none --iptables=false --ip6tables=false --ip-forward=false --ip-masq=false \
        --default-ulimit nofile=4096:4096 >"$cache/dockerd.log" 2>&1 9>&- &
    daemon=$!
    for _ in $(seq 150); do
        if docker info >/dev/null 2>&1; then
            engine=(docker) build_flags=(--network host)
            return 0
        fi
        kill -0 "$daemon" 2>/dev/null || break
        sleep 0.2
    done
    tail -n 5 "$cache/dockerd.log" >&2
    stop_engine
    unset DOCKER_HOST DOCKER_CONFIG
    return 1
}

start_podman() {
    local home=$cache/podman
    lock
    if ! command -v podman >/dev/null || ! command -v runc >/dev/null; then
        quietly apt apt-get update || return 1
        DEBIAN_FRONTEND=noninteractive quietly apt \
            apt-get install --yes --no-install-recommends podman runc || return 1
    fi
    mkdir -p "$home"
    # The defaults ask for limits and control groups that a container may not have.
    printf '%s\n' '[containers]' 'default_ulimits = []' 'default_sysctls = []' \
        '[engine]' 'cgroup_manager = "cgroupfs"' 'events_logger = "file"' 'runtime = "runc"' \
        >"$home/containers.conf"
    printf '%s\n' '[storage]' 'driver = "overlay"' "graphroot = \"$home/store\"" \
        "runroot = \"$home/run\"" >"$home/storage.conf"
    export CONTAINERS_CONF=$home/containers.conf CONTAINERS_STORAGE_CONF=$home/storage.conf
    # Only this format keeps HEALTHCHECK.
    engine=(podman) build_flags=(--format docker --isolation chroot --network host --layers)
    podman info >/dev/null 2>&1
}

# Make localhost/debian-stand-in, which has the contents of debian:bookworm-slim; renewed after two weeks.
make_base() {
    local tar=$cache/base-$suite.tar image=localhost/debian-stand-in:$suite made
    if [ -z "$(find "$tar" -mtime -14 2>/dev/null)" ]; then
        say 'making a base image with debootstrap'
        bootstrap "$tar" || return 1
    fi
    made=$(stat -c %Y "$tar")
    if [ "$("${engine[@]}" image inspect -f '{{.Config.Labels.made}}' "$image" 2>/dev/null)" != "$made" ]; then
        quietly import "${engine[@]}" import -c "LABEL made=$made" "$tar" "$image" || return 1
    fi
    build_flags+=(--build-arg "BASE_IMAGE=$image")
}

# Print the mirror of a suite, from the configuration of apt.
mirror_of() {
    # apt expands $(CODENAME) and $(REPO_URI), not the shell.
    # shellcheck disable=SC2016
    apt-get indextargets --format '$(CODENAME) $(REPO_URI)' |
        awk -v suite="$1" '$1 == suite {print $2; exit}'
}

bootstrap() {
    local tar=$1 root=$cache/root mirror security
    unpack debootstrap debootstrap || return 1
    mirror=$(mirror_of "$suite")
    security=$(mirror_of "$suite-security")
    if [ -z "$mirror" ]; then
        say "apt knows no mirror of $suite"
        return 1
    fi
    rm -rf "$root"
    DEBOOTSTRAP_DIR=$cache/debootstrap/usr/share/debootstrap quietly debootstrap \
        "$cache/debootstrap/usr/sbin/debootstrap" --variant=minbase --include=ca-certificates \
        "$suite" "$root" "$mirror" || return 1
    printf 'path-exclude=/usr/share/%s/*\n' doc man locale >"$root/etc/dpkg/dpkg.cfg.d/slim"
    rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/usr/share/{doc,man,locale}/*
    printf 'deb %s %s main\n' "$mirror" "$suite" >"$root/etc/apt/sources.list"
    # Security fixes, as in the image of a registry.
    if [ -n "$security" ]; then
        printf 'deb %s %s main\n' "$security" "$suite-security" >>"$root/etc/apt/sources.list"
    fi
    tar -C "$root" --numeric-owner -cf "$tar.new" . && mv "$tar.new" "$tar" && rm -rf "$root"
}
