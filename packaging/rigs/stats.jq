# An engine's /status as the dashboards of rigs want it. --arg form hiveos | mmpos | khs
# A rate is 10^9 operations a second, a multiply-add counted as two, while computing.
def bus: if startswith("cuda:") then (.[5:] | tonumber) else null end;
def rate: ((.tops // 0) * 1000);
def round2: (. * 100 | round) / 100;
.now as $now | [.devices[] | select(.state != "out")] as $in
| if $form == "khs" then ([$in[] | rate] | add // 0) * 1000000 | round
  elif $form == "hiveos" then {
    hs: [$in[] | rate | round2], hs_units: "ghs",
    temp: [$in[] | (.temperature // 0) | round], fan: [$in[] | ((.fan // 0) * 100) | round],
    uptime: ($now - .started_at | floor), ver: .version,
    ar: [.results.confirmed, .results.given_up], algo: "matrix_mult_v1",
    bus_numbers: [$in[] | .name | bus]
  } else {
    busid: [$in[] | (.name | bus) // "cpu"], hash: [$in[] | rate | round2], units: "ghs",
    air: [.results.confirmed, 0, .results.given_up] | map(tostring),
    miner_name: "cpc-engine", miner_version: .version
  } end
