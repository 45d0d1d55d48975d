"""Around an exported model: its files, its decoder, its check, and a client.

`ram_tf.export` writes the model itself.
"""
