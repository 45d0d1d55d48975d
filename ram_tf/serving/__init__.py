"""Around an exported model: its files, its decoder, its check, and a client.

`serving.export` writes the model itself.
"""
