"""Classifies image files and says where the model looked: `ram-tf predict`."""

from ram_tf.commands import command_line, predict

if __name__ == "__main__":
    command_line.run(predict.COMMAND)
