"""What a cell has computed so far, between statements and rounds of loops: taken, written and gone on with."""
