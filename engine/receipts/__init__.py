"""Receipts of a validator, and disputes about them: files that anybody checks offline.

    receipt = read_receipt(content)                  # document.py: or BadInput
    differences(receipt, output=..., model=...)      # verification.py: what is not right, in sentences
    dispute = find_dispute(receipt, ...)             # dispute.py: the one product that is wrong
    check_dispute(dispute, model, samples)           # or WrongClaim

docs/receipts.md says what each field means, and has a script that needs nothing of this program.
"""
