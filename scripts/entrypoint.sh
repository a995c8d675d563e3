#!/bin/sh
# What the image runs: `serve` for the web service, `process` for a Processing job, otherwise any
# command of face-blur.
set -eu
home=$(dirname "$(dirname "$(readlink -f "$0")")")

# A pack that SageMaker has unpacked takes the place of the one in the image.
if [ -z "${FACE_BLUR_MODELS_ROOT:-}" ]; then
    for pack in /opt/ml/model/*/pack.toml; do
        if [ -f "$pack" ]; then
            export FACE_BLUR_MODELS_ROOT=/opt/ml/model
        fi
    done
fi

# Python is not to look into the working folder, which may be anything's.
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
esac
exec python3 -m app.cli "$@"
