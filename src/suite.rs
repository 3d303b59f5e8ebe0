//! Which model, which SAEs, and where they live: suite files, the catalogue, the embedded demo.
//! Not here: tensors, and how a file is fetched.
