"""Warnings out: who must know, in which words, over which channel; ledger and receipts."""
