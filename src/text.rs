//! How a token is shown: honest about its bytes, harmless to a terminal.
//! Not here: tokenizing, colours.
