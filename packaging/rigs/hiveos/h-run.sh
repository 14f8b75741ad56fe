#!/usr/bin/env bash
# HiveOS runs this in the miner's screen; its output is the miner's log.
cd "$(dirname "$0")" || exit 1
. ./h-manifest.conf
. "$CUSTOM_CONFIG_FILENAME"
. ./find-engine.sh || exit 1
mkdir -p "$(dirname "$CUSTOM_LOG_BASENAME")"
export CPC_NODE CPC_MINE_FROM
# shellcheck disable=SC2086 # options as typed
"$ENGINE" mine --plain --http 127.0.0.1:9180 $OPTIONS 2>&1 | tee --append "$CUSTOM_LOG_BASENAME.log"
exit "${PIPESTATUS[0]}"
