#!/bin/sh
# Entry point of the image: `serve` is the web service, `process` a Processing job, `step` a step of the
# pipeline; anything else is a command of face-blur.
set -eu
home=$(dirname "$(dirname "$(readlink -f "$0")")")

# A pack unpacked by SageMaker replaces the one in the image.
if [ -z "${FACE_BLUR_MODELS_ROOT:-}" ]; then
    for pack in /opt/ml/model/*/pack.toml; do
        if [ -f "$pack" ]; then
            export FACE_BLUR_MODELS_ROOT=/opt/ml/model
        fi
    done
fi

# Do not import from the working folder, which may contain anything.
export PYTHONPATH="$home" PYTHONSAFEPATH=1
case "${1:-}" in
serve)
    shift
    exec "$home/serve" "$@"
    ;;
process)
    shift
    exec python3 -m app.job "$@"
    ;;
step)
    exec python3 -m app.job "$@"
    ;;
esac
exec python3 -m app.cli "$@"
