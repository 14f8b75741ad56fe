# Sets ENGINE to the program; says how to install it where it is not there. Sourced.
for ENGINE in "$CPC_ENGINE" "$HOME/.local/bin/cpc-engine" /usr/local/bin/cpc-engine cpc-engine; do
  [ -n "$ENGINE" ] && command -v "$ENGINE" >/dev/null && return 0
done
echo "cpc-engine is not installed. Copy its wheel here, and: pipx install --python python3.12 ./cpc_engine-*.whl" >&2
return 1
