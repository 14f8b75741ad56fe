"""A mine that is shot at: everything fails at random, and at the end nothing may be lost or wrong.

    make soak                                         # ten minutes
    python -m tests.engine.node.soak --seconds 120         # as CI has it

The devnet runs in this process, the engine as its own program, which is started again whenever it
ended, as systemd would. A seed decides what fails when:

    the node     503, stalls, transactions forgotten, roll-backs of 1 to 6 blocks (`Chaos`)
    children     SIGKILL, SIGSTOP, a wrong result, an exit in the middle of a message (`saboteur`)
    the parent   SIGKILL

    run       the whole of it, from the first block to the verdict
    program   the engine as it is started here: `mine` with children that can be told to go wrong
    engine    starts, shoots and measures that program
    saboteur  what is done to its processes, and when
    judge     what must hold at the end
"""
