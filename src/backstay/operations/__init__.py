"""Operations: what is read from the journal for people (the case log) and for proof (replay)."""
