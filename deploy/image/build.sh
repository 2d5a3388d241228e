#!/usr/bin/env bash
# Build images on this machine without a container daemon and without a registry of images: a Debian made by mmdebstrap
# is their base, buildah builds them. Needs root, and Debian's packages buildah and mmdebstrap.
#
#   deploy/image/build.sh soulcaster         # the image
#   deploy/image/build.sh soulcaster fixer   # and the one of the fixer, which is built on it
#
# The images are in .cache/image; tests/deploy runs them.
set -euo pipefail
cd "$(dirname "$0")/../.."
cache=$PWD/.cache/image
suite=trixie # the Debian that the Dockerfile's own base is made of

for program in buildah mmdebstrap crun; do
  command -v "$program" >/dev/null || { echo "$program is missing: apt-get install --no-install-recommends buildah mmdebstrap crun" >&2; exit 1; }
done
[ "$(id -u)" = 0 ] || { echo "Building here needs root." >&2; exit 1; }

images() { buildah --root "$cache/images" --runroot "$cache/run" "$@"; }

# Registries are reached as this machine reaches them.
mkdir -p "$cache"
certificates=${PIP_CERT:-/etc/ssl/certs/ca-certificates.crt}
index=${PIP_INDEX_URL:-$(python3 -m pip config get global.index-url 2>/dev/null || true)}
printf '[global]\ncert = /run/secrets/ca\n%s\n' "${index:+index-url = $index}" >"$cache/pip.conf"
debian=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -m 1 '/debian/\?$' || true)

if ! images inspect --type image "base-$suite" >/dev/null 2>&1; then
  nice -n 10 mmdebstrap --variant=minbase --include=ca-certificates,python3,python3-venv \
    "$suite" "$cache/base.tar" "${debian:-http://deb.debian.org/debian}"
  container=$(images from scratch)
  images add --quiet "$container" "$cache/base.tar" /
  images commit --quiet --rm "$container" "base-$suite"
  rm "$cache/base.tar"
fi

for image in "$@"; do
  case $image in
    soulcaster) recipe=(--file Dockerfile --build-arg "BASE=localhost/base-$suite") ;;
    fixer) recipe=(--file Dockerfile.fixer --build-arg SOULCASTER=localhost/soulcaster) ;;
    *) echo "There is no image $image; there are soulcaster and fixer." >&2; exit 1 ;;
  esac
  nice -n 10 buildah --root "$cache/images" --runroot "$cache/run" bud --isolation chroot --network host --layers \
    --format docker "${recipe[@]}" --build-arg "REVISION=$(git rev-parse HEAD)" \
    --secret "id=pip,src=$cache/pip.conf" --secret "id=ca,src=$certificates" --tag "$image" .
done
images images
