#!/bin/sh
# docker/build_local.sh [TAG]: the image where no registry can be reached, built on Debian's minimal system from
# wheels that this machine's pip finds. For root on Debian; needs buildah and debootstrap (apt-get install).
#
# The Debian is the one with the Python of PYTHON (default: python3), which fetches the wheels: 3.11 or 3.13. Where
# its pip finds torch with CUDA, PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu makes a smaller image.
set -eu
cd "$(dirname "$0")/.."
tag="${1:-graves_lm:cpu}"
python="${PYTHON:-python3}"

version="$("$python" -c 'import sys; print("{}.{}".format(*sys.version_info))')"
case "$version" in
    3.11) suite=bookworm ;;
    3.13) suite=trixie ;;
    *) echo "no Debian comes with Python $version: PYTHON=python3.11 or python3.13" >&2; exit 2 ;;
esac
for tool in buildah debootstrap; do
    command -v "$tool" > /dev/null || { echo "no $tool: apt-get install buildah debootstrap" >&2; exit 2; }
done

scratch="$(mktemp -d)"
container=
finish() {
    [ -z "$container" ] || buildah rm "$container" > /dev/null
    rm -rf "$scratch"
}
trap finish EXIT

# Made once: it stays in buildah's store.
base="localhost/python:$version-$suite"
if ! buildah inspect --type image "$base" > /dev/null 2>&1; then
    container="$(buildah from scratch)"
    root="$(buildah mount "$container")"
    debootstrap --variant=minbase --include=ca-certificates,python3-pip,python3-venv "$suite" "$root" \
        http://deb.debian.org/debian
    rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*
    buildah umount "$container" > /dev/null
    buildah commit --quiet "$container" "$base"
fi

# pip in the build reads these files and nothing else: those of the lock, PyTorch as this machine's pip finds it, and
# what packages are built with, the package itself among them.
files="$scratch/wheels"
"$python" -m pip download --quiet --require-hashes --no-deps --dest "$files" --requirement requirements/run.lock
"$python" -m pip wheel --quiet --wheel-dir "$files" --requirement requirements/torch.txt 'hatchling>=1.27' setuptools wheel
printf '[global]\nno-index = true\nfind-links = /mnt/wheels\n' > "$scratch/pip.conf"

# Isolation by chroot needs nothing of the kernel; health checks are of Docker's format alone.
buildah build --isolation chroot --format docker --pull-never --build-arg "BASE=$base" \
    --volume "$scratch/wheels:/mnt/wheels:ro" --volume "$scratch/pip.conf:/etc/pip.conf:ro" \
    --file docker/Dockerfile --tag "$tag" .
