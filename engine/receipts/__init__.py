"""Receipts of a validator, and disputes about them: files that anybody checks offline.

    receipt = read_receipt(content)                  # document.py: or BadInput
    differences(receipt, Files(output, posted))      # verification.py: what is not right, in sentences
    dispute = find_dispute(receipt, posted, ...)     # dispute.py: the one sum that is wrong
    check_dispute(dispute, posted)                   # or WrongClaim

docs/receipts.md says what each field means, and has a script that needs nothing of this program.
"""
