#!/usr/bin/env bash
# HiveOS sources this to write the configuration of a flight sheet:
#   Pool URL             the L1 node, as http://NODE:8000 (several: one a line, or with commas)
#   Wallet               the name of the key in ~/.computechain/keys; empty: worker
#   Extra config         more options of `cpc-engine mine`, as typed: --device cuda:0 --tasks-per-block auto
[[ -z $CUSTOM_URL ]] && echo "cpc-engine: the flight sheet names no node (Pool URL)" && return 1
{
  printf 'CPC_NODE=%q\n' "$(tr '\n ' ',,' <<<"$CUSTOM_URL" | sed 's/,*$//')"
  printf 'CPC_MINE_FROM=%q\n' "${CUSTOM_TEMPLATE:-worker}"
  printf 'OPTIONS=%q\n' "$(tr '\n' ' ' <<<"$CUSTOM_USER_CONFIG")"
} >"$CUSTOM_CONFIG_FILENAME"
