"""The v3 network, whose nodes are CometBFT's: status, balances, blocks, transfers. It takes no results.

    answers     what its nodes answer, read strictly
    transfer    a TRANSFER: the text that is signed, its bytes, its hash
    rpc         the questions, each to one node

The rules come from the network's public code and pages, and from CometBFT's public description of its
RPC. Nothing here was run against a real v3 node: none was at hand. docs/v3.md says what was tested how.
"""
