/**
 * The shell script of stage 1, a file of the signed manifest: it puts the updater and its runtime on a machine that has
 * none, and the updater does everything else. Running it again changes nothing.
 */
import { runtimeArchiveFolder, updaterFile } from "../../relay/agent/places.ts";
import { fetchedBefore } from "../../relay/updater/manifest.ts";
import { relayUser } from "./units.ts";

export const stage1 = `#!/bin/sh
# usage: stage1.sh MANIFEST; the settings of stage 0 are in the environment
set -eu
manifest=$1
root=/opt/derpkit
say() { echo "derpkit stage 1: $*"; }
fail() { say "$*" >&2; exit 1; }

getent group ${relayUser.name} >/dev/null || groupadd --system --gid ${relayUser.id} ${relayUser.name}
getent passwd ${relayUser.name} >/dev/null ||
  useradd --system --uid ${relayUser.id} --gid ${relayUser.id} --home-dir /nonexistent --no-create-home \\
    --shell /usr/sbin/nologin ${relayUser.name}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The manifest is canonical JSON: a member has a line of its own, and members are sorted.
describe() { # describe FILE: its SHA-256, then its mirrors
  awk -v file="$1" '
    /^    \\{$/ { mirrors = ""; found = 0 }
    /^        "https:/ { gsub(/[",]/, ""); mirrors = mirrors " " $1 }
    $0 == "      \\"path\\": \\"" file "\\"," { found = 1 }
    found && /^      "sha256": "[0-9a-f]*",$/ { gsub(/[",]/, ""); print $2 mirrors; exit }
  ' "$manifest"
}
obtain() { # obtain FILE TO
  set -- "$1" "$2" $(describe "$1")
  [ $# -ge 3 ] || fail "the manifest has no $1"
  file=$1 to=$2 sum=$3
  shift 3
  for url in "$DERPKIT_DELIVERY/$file" "$@"; do
    curl --fail --silent --show-error --location --proto =http,https --retry 3 --retry-connrefused \\
      --connect-timeout 10 --max-time 900 --max-filesize 134217728 -o "$to" "$url" || continue
    echo "$sum  $to" | sha256sum --check --status && return
    say "$url is not what the manifest says" >&2
  done
  fail "$file cannot be fetched"
}

if [ ! -e $root/updater ]; then
  case $(uname -m) in
    x86_64) arch=x64 ;;
    aarch64) arch=arm64 ;;
    *) fail "there is no runtime for $(uname -m)" ;;
  esac
  archive=$(sed -n 's/^      "path": "\\(${runtimeArchiveFolder}\\/[a-z0-9._-]*\\)",$/\\1/p' "$manifest" | grep -- "-$arch\\.tgz$" | head -n 1)
  [ -n "$archive" ] || fail "the manifest has no runtime for $arch"
  say "fetching the updater and $archive"
  obtain ${updaterFile} "$work/${updaterFile}"
  obtain "$archive" "$work/runtime.tgz"
  sum=$(sha256sum "$work/runtime.tgz" | cut -c 1-64)
  mkdir -p "$work/runtime" "$root/runtimes" "$root/first"
  tar -xzf "$work/runtime.tgz" -C "$work/runtime" --strip-components=2 --no-same-owner --wildcards '*/bin/node' '*/bin/bun' 2>/dev/null || true
  for program in node bun; do
    [ ! -f "$work/runtime/$program" ] || mv "$work/runtime/$program" "$work/runtime/runtime"
  done
  [ -f "$work/runtime/runtime" ] || fail "$archive has no runtime"
  chmod 0755 "$work/runtime" "$work/runtime/runtime"
  rm -rf "$root/runtimes/$sum" "$root/runtimes/$sum.partial"
  cp -R "$work/runtime" "$root/runtimes/$sum.partial"
  mv "$root/runtimes/$sum.partial" "$root/runtimes/$sum"
  install -m 0644 "$work/${updaterFile}" $root/first/${updaterFile}
  # The updater installs the same archive with its first release, and need not fetch it again.
  mkdir -p "$root/releases/${fetchedBefore}/${runtimeArchiveFolder}"
  mv "$work/runtime.tgz" "$root/releases/${fetchedBefore}/$archive"
  ln -sfn "../runtimes/$sum" $root/first/runtime
  obtain "units/$DERPKIT_NODE/derpkit-updater.service" "$work/updater.service"
  install -m 0644 "$work/updater.service" /etc/systemd/system/derpkit-updater.service
  sync
  ln -sfn first $root/updater
fi
systemctl daemon-reload
systemctl enable --now --no-block derpkit-updater.service
say "the updater goes on from here"
`;
