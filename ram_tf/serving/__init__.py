"""Around an exported model: its files, its check, a client and a stand-in server.

`ram_tf.export` writes the model itself.
"""
