//! saescope: a terminal explorer for what a language model is thinking.
