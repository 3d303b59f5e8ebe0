//! Keys and values of the positions a model has run, so that one more token costs one token.
//! Not here: attention over them.

use std::sync::Arc;

use candle_core::{CpuStorage, Device, InplaceOp2, Layout, Tensor};

/// Room for this many positions is taken at first; it doubles when it is full.
const FIRST_ROOM: usize = 64;

/// Keys and values of the positions run so far, for each block that was run. Clones are cheap, and each continues by
/// itself.
///
/// What a hook replaced during a pass stays in the keys and values that come after it: start a new cache when the
/// replacement changes.
#[derive(Clone, Debug, Default)]
pub struct Cache {
    ids: Vec<u32>,
    /// Blocks in front of the first one that holds anything.
    first: usize,
    /// How many blocks, from the model's first, hold every position; no limit while the cache is empty.
    depth: usize,
    blocks: Vec<Option<Arc<Block>>>,
}

/// Keys and values of one block, each [room, width]; rows from the number of positions on hold nothing of value.
#[derive(Debug)]
struct Block {
    keys: Tensor,
    values: Tensor,
}

impl Cache {
    /// A cache for the blocks of a model of so many, from `first` on.
    pub(super) fn new(first: usize, blocks: usize) -> Self {
        Self { ids: Vec::new(), first, depth: blocks, blocks: vec![None; blocks] }
    }

    /// Blocks in front of the first one that holds anything.
    pub const fn first(&self) -> usize {
        self.first
    }

    /// The number of positions held.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether no position is held.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The tokens held.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// How many blocks hold the positions: a pass can go no deeper while the cache is not empty.
    pub const fn depth(&self) -> usize {
        self.depth
    }

    /// The number of tokens that `ids` and the cache have in common from the start.
    pub fn common_prefix(&self, ids: &[u32]) -> usize {
        self.ids.iter().zip(ids).take_while(|(held, new)| held == new).count()
    }

    /// Forgets all but the first `positions`.
    pub fn truncate(&mut self, positions: usize) {
        self.ids.truncate(positions);
        if self.ids.is_empty() {
            self.depth = self.blocks.len();
        }
    }

    /// Cuts the cache back to what a pass of `ids` through `layers` blocks can use, and gives how many positions that
    /// leaves: run `ids[kept..]`. At least one token is left to run.
    pub fn keep_for(&mut self, ids: &[u32], layers: usize) -> usize {
        let common = self.common_prefix(ids).min(ids.len().saturating_sub(1));
        self.truncate(if layers > self.depth { 0 } else { common });
        self.len()
    }

    /// Adds keys and values, each [new positions, width], behind the positions held, and gives those of all positions,
    /// each [positions, width]. Nothing counts as held until [`Cache::commit`].
    pub(super) fn append(
        &mut self,
        block: usize,
        keys: &Tensor,
        values: &Tensor,
    ) -> candle_core::Result<(Tensor, Tensor)> {
        let (start, new) = (self.ids.len(), keys.dim(0)?);
        // What is copied into the room has no gradients: a pass that wants them holds no positions.
        if start == 0 && (keys.track_op() || values.track_op()) {
            return Ok((keys.clone(), values.clone()));
        }
        let all = start + new;
        let held = self.blocks[block].take();
        let room = held.as_ref().map_or(Ok(0), |block| block.keys.dim(0))?;
        let block_now = match held {
            // A clone that shares the room must not see what is written here.
            Some(held) if all <= room && Arc::strong_count(&held) == 1 => held,
            held => {
                let room = if all <= room { room } else { all.next_power_of_two().max(FIRST_ROOM) };
                let bigger = Block::new(room, keys, values)?;
                if let Some(held) = held.filter(|_| start > 0) {
                    bigger.write(0, &held.keys.narrow(0, 0, start)?, &held.values.narrow(0, 0, start)?)?;
                }
                Arc::new(bigger)
            }
        };
        block_now.write(start, keys, values)?;
        let both = (block_now.keys.narrow(0, 0, all)?, block_now.values.narrow(0, 0, all)?);
        self.blocks[block] = Some(block_now);
        Ok(both)
    }

    /// Keys and values of a block at the positions held, each [positions, width]; none where there are none.
    pub(super) fn held(&self, block: usize) -> candle_core::Result<Option<(Tensor, Tensor)>> {
        let held = self.blocks.get(block).and_then(Option::as_ref).filter(|_| !self.ids.is_empty());
        let part = |x: &Tensor| x.narrow(0, 0, self.ids.len());
        held.map(|block| Ok((part(&block.keys)?, part(&block.values)?))).transpose()
    }

    /// Counts `ids`, whose keys and values the first `layers` blocks now hold, as held.
    pub(super) fn commit(&mut self, ids: &[u32], layers: usize) {
        self.ids.extend_from_slice(ids);
        self.depth = layers;
    }
}

impl Block {
    fn new(room: usize, keys: &Tensor, values: &Tensor) -> candle_core::Result<Self> {
        let zeros = |like: &Tensor| {
            let device: &Device = like.device();
            Tensor::zeros((room, like.dim(1)?), like.dtype(), device)
        };
        Ok(Self { keys: zeros(keys)?, values: zeros(values)? })
    }

    fn write(&self, start: usize, keys: &Tensor, values: &Tensor) -> candle_core::Result<()> {
        write(&self.keys, start, keys)?;
        write(&self.values, start, values)
    }
}

/// Writes rows into `room` from one of them on.
fn write(room: &Tensor, start: usize, rows: &Tensor) -> candle_core::Result<()> {
    match rows.stride() {
        // Keys and values often lie beside each other in a wider matrix: on the CPU from there.
        [_, 1] if rows.device().is_cpu() => room.inplace_op2(rows, &Rows { start }),
        _ => room.slice_set(&rows.contiguous()?, 0, start),
    }
}

/// Copies rows, each of values side by side, to the rows from `start` on.
struct Rows {
    start: usize,
}

impl InplaceOp2 for Rows {
    fn name(&self) -> &'static str {
        "rows"
    }

    fn cpu_fwd(
        &self,
        room: &mut CpuStorage,
        of_room: &Layout,
        rows: &CpuStorage,
        of_rows: &Layout,
    ) -> candle_core::Result<()> {
        let (count, width) = of_rows.shape().dims2()?;
        let (CpuStorage::F32(room), CpuStorage::F32(rows), Some((first, end)), &[stride, 1]) =
            (room, rows, of_room.contiguous_offsets(), of_rows.stride())
        else {
            candle_core::bail!("rows {of_rows:?} for a room {of_room:?}");
        };
        let places = room[first..end].chunks_exact_mut(width).skip(self.start).take(count);
        if places.len() < count || of_room.dims().last() != Some(&width) {
            candle_core::bail!("{count} rows from row {} on of {of_room:?}", self.start);
        }
        for (row, place) in places.enumerate() {
            let from = of_rows.start_offset() + row * stride;
            place.copy_from_slice(&rows[from..from + width]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_copied_from_where_they_lie_and_only_where_there_is_room() {
        let wide = Tensor::arange(0.0f32, 12.0, &Device::Cpu).unwrap().reshape((2, 6)).unwrap();
        let room = Tensor::zeros((4, 2), candle_core::DType::F32, &Device::Cpu).unwrap();
        write(&room, 1, &wide.narrow(1, 2, 2).unwrap()).unwrap();
        let held: Vec<Vec<f32>> = room.to_vec2().unwrap();
        assert_eq!(held, [[0.0, 0.0], [2.0, 3.0], [8.0, 9.0], [0.0, 0.0]]);
        for (start, rows) in [(3, wide.narrow(1, 2, 2).unwrap()), (0, wide.narrow(1, 0, 3).unwrap())] {
            assert!(write(&room, start, &rows).is_err(), "{start}");
        }
        assert_eq!(room.to_vec2::<f32>().unwrap(), held);
    }

    fn rows(first: f32, count: usize) -> Tensor {
        let values: Vec<f32> = (0..count * 2).map(|i| first + (i / 2) as f32).collect();
        Tensor::from_vec(values, (count, 2), &Device::Cpu).unwrap()
    }

    fn append(cache: &mut Cache, ids: &[u32], first: f32) -> Vec<f32> {
        let new = rows(first, ids.len());
        let (keys, _) = cache.append(0, &new, &new).unwrap();
        cache.commit(ids, 1);
        keys.narrow(1, 0, 1).unwrap().flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn positions_come_back_in_order_however_they_were_added() {
        let mut cache = Cache::new(0, 1);
        append(&mut cache, &[7; 60], 0.0);
        let all = append(&mut cache, &[7; 90], 60.0);
        assert_eq!(all, (0..150).map(|i| i as f32).collect::<Vec<_>>());
    }

    #[test]
    fn a_clone_goes_on_by_itself() {
        let mut one = Cache::new(0, 1);
        append(&mut one, &[1, 2], 0.0);
        let mut other = one.clone();
        assert_eq!(append(&mut one, &[3], 10.0), [0.0, 1.0, 10.0]);
        assert_eq!(append(&mut other, &[4], 20.0), [0.0, 1.0, 20.0]);
        assert_eq!(append(&mut one, &[3], 11.0), [0.0, 1.0, 10.0, 11.0]);
    }

    #[test]
    fn an_append_without_commit_leaves_the_positions_held() {
        let mut cache = Cache::new(0, 1);
        append(&mut cache, &[1, 2], 0.0);
        let new = rows(50.0, 1);
        cache.append(0, &new, &new).unwrap();
        assert_eq!(cache.ids(), [1, 2]);
        assert_eq!(append(&mut cache, &[3], 5.0), [0.0, 1.0, 5.0]);
    }

    #[test]
    fn the_common_prefix_is_kept_and_one_token_is_left_to_run() {
        let mut cache = Cache::new(0, 3);
        cache.commit(&[1, 2, 3, 4], 2);
        assert_eq!(cache.clone().keep_for(&[1, 2, 9], 2), 2);
        assert_eq!(cache.clone().keep_for(&[1, 2, 3, 4], 2), 3);
        assert_eq!(cache.clone().keep_for(&[1, 2, 3, 4, 5], 1), 4);
        assert_eq!(cache.clone().keep_for(&[], 2), 0);
        assert_eq!(cache.keep_for(&[1, 2, 3, 4, 5], 3), 0, "the third block holds nothing");
        assert_eq!(cache.depth(), 3, "an empty cache takes any depth");
    }
}
