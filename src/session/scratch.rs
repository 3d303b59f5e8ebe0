//! What questions keep between two askings, by its type, so that the prompt does not know who asks about it.
//! Not here: what is kept.

use std::any::{Any, TypeId};
use std::collections::HashMap;

/// One value of each type.
#[derive(Default)]
pub struct Scratch(HashMap<TypeId, Box<dyn Any + Send>>);

impl Scratch {
    /// The value of a type, made where there is none.
    pub fn of<T: Default + Send + 'static>(&mut self) -> &mut T {
        let slot = self.0.entry(TypeId::of::<T>()).or_insert_with(|| Box::new(T::default()));
        match slot.downcast_mut() {
            Some(value) => value,
            None => unreachable!("it was put there with its own type"),
        }
    }

    /// Forgets all of it.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_one_value_until_all_is_forgotten() {
        let mut scratch = Scratch::default();
        *scratch.of::<u8>() = 7;
        *scratch.of::<String>() = "kept".to_owned();
        assert_eq!((*scratch.of::<u8>(), scratch.of::<String>().as_str()), (7, "kept"));
        scratch.clear();
        assert_eq!(*scratch.of::<u8>(), 0);
    }
}
