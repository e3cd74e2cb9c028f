#!/bin/sh
# Builds control-server into bin/ (or $BIN), with the Tailscale release that go.mod pins: that of the clients it is for.
set -eu
cd "$(dirname "$0")"
bin=${BIN:-$PWD/bin}
mkdir -p "$bin"
export GOTOOLCHAIN=local GOFLAGS=-buildvcs=false
go build -o "$bin/" .
