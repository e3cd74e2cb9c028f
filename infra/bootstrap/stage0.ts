/**
 * The shell script of stage 0. It waits for the volume, which clouds attach late; formats it only if it is empty; and
 * starts nothing that one of the trusted keys has not signed. Running it again changes nothing.
 *
 * What it reads of the updater's memory is canonical JSON, a member or an item a line (relay/updater/state.ts); which keys
 * count is what relay/updater/trusted-keys.ts has.
 */
export const stage0 = `#!/bin/sh
# Mounts the node's volume, then fetches, checks and runs stage 1 of the region's manifest.
set -eu
state=/var/lib/derpkit
say() { echo "derpkit stage 0: $*"; }
fail() { say "$*" >&2; exit 1; }

format() {
  if command -v mkfs.ext4 >/dev/null; then
    mkfs.ext4 -q -L derpkit "$DERPKIT_VOLUME"
  else
    base64 -d /etc/derpkit/empty-volume | gzip -d | gzip -d | dd of="$DERPKIT_VOLUME" bs=1M conv=fsync status=none
  fi
}

tries=0
until [ -b "$DERPKIT_VOLUME" ]; do
  [ $tries -gt 0 ] || say "waiting for the volume $DERPKIT_VOLUME"
  tries=$((tries + 1))
  [ $tries -le 600 ] || fail "the volume $DERPKIT_VOLUME is not attached"
  sleep 1
done
mkdir -p $state
if ! mountpoint -q $state; then
  # 2 is blkid's word for a device with nothing on it. Anything else is left alone.
  found=0
  blkid -p "$DERPKIT_VOLUME" >/dev/null || found=$?
  case $found in
    0) ;;
    2) say "formatting the empty volume"; format ;;
    *) fail "it cannot be told what is on the volume $DERPKIT_VOLUME (blkid: $found)" ;;
  esac
  # The unit of cloud-init; from the next start on systemd waits for the device by itself.
  systemctl start var-lib-derpkit.mount
fi
# A machine that has its updater is the updater's.
[ ! -e /opt/derpkit/updater ] || exit 0

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
download() { # download NAME MOST_BYTES
  curl --fail --silent --show-error --location --proto =http,https --retry 3 --retry-connrefused \\
    --connect-timeout 10 --max-time 300 --max-filesize "$2" -o "$work/\${1##*/}" "$DERPKIT_DELIVERY/$1" ||
    fail "$DERPKIT_DELIVERY/$1 cannot be fetched"
}
download manifest.json 262144
download manifest.sig 128
base64 -d "$work/manifest.sig" >"$work/signature" || fail "manifest.sig is not base64"
memory=$state/updater/updater.json
# A node trusts what its last manifest named, for as long as it boots with the same keys.
keys=/etc/derpkit
boot=$(cat $keys/trusted-*.pem | sha256sum)
if grep -qsxF "    \\"boot\\": \\"\${boot%% *}\\"," $memory; then
  keys=$work
  for key in $(sed -n 's/^      "\\(MCow[A-Za-z0-9+/=]*\\)",\\{0,1\\}$/\\1/p' $memory); do
    n=$((\${n:-0} + 1))
    printf '%s\\n' '-----BEGIN PUBLIC KEY-----' "$key" '-----END PUBLIC KEY-----' >"$work/trusted-$n.pem"
  done
fi
trusted=
for key in "$keys"/trusted-*.pem; do
  openssl pkeyutl -verify -pubin -inkey "$key" -rawin -in "$work/manifest.json" \\
    -sigfile "$work/signature" >/dev/null 2>&1 && trusted=$key
done
[ -n "$trusted" ] || fail "no trusted key has signed the manifest"
grep -qxF "  \\"stack\\": \\"$DERPKIT_STACK\\"," "$work/manifest.json" || fail "the manifest is of another stack"
grep -qxF "  \\"region\\": \\"$DERPKIT_REGION\\"," "$work/manifest.json" || fail "the manifest is of another region"

# What the node had before this machine is on the volume: nobody brings an older release back by a new machine.
known=$(sed -n 's/^    "sequence": \\([0-9]*\\),$/\\1/p' $memory 2>/dev/null || true)
offered=$(sed -n 's/^  "sequence": \\([0-9]*\\),$/\\1/p' "$work/manifest.json")
[ "\${offered:-0}" -ge "\${known:-0}" ] || fail "the manifest has sequence $offered, and $known has been accepted already"

download stage1.sh 1048576
sum=$(sed -n '/^      "path": "stage1.sh",$/{n;s/^      "sha256": "\\([0-9a-f]\\{64\\}\\)",$/\\1/p}' "$work/manifest.json")
[ -n "$sum" ] || fail "the manifest has no stage 1"
echo "$sum  $work/stage1.sh" | sha256sum --check --status || fail "stage1.sh is not what the manifest says"
say "starting stage 1, $sum"
sh "$work/stage1.sh" "$work/manifest.json"
`;
