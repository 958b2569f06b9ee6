"""Every text of the mail outside its appendix, and the translation of raw texts into plain ones.

The reader is a client who knows Ads Manager, but neither AWS nor Meta's API. Raw texts are in the appendix only.
"""
