; A comment is no instruction.
