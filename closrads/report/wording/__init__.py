"""Every text that the mail's reader sees outside the appendix, and the translation of raw texts into plain ones.

The reader is a client who knows Ads Manager, and nothing of AWS or of Meta's API. What is raw stands in the appendix.
"""
