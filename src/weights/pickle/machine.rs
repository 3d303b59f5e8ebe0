//! The stack machine of Python's pickles, for what `torch.save` writes: it builds data and calls nothing.
//! Not here: the archive around the pickle, and the tensors' values.
//!
//! Every instruction makes at most one node, so memory is bounded by the pickle's length. Nodes are shared by the memo
//! and turned into a tree at the end, whose size and depth are bounded too.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use super::{Element, Tensor, TensorFile, Value};

/// Most values of the resulting tree: far above any state dictionary.
const MAX_VALUES: usize = 1 << 20;
/// Deepest nesting of the resulting tree.
const DEEPEST: usize = 64;
/// Bytes of text that count as one value of the tree: the memo lets one text stand in many places.
const MAX_SHOWN_TEXT: usize = 64;
/// Most elements of a tensor that has fewer places: four times as many as the widest SAE has latents.
const MAX_EXPANDED: usize = 1 << 22;
/// Most arguments of a call and most dimensions of a tensor.
const MAX_ARGUMENTS: usize = 32;
/// Values on the stack between a tensor and its key, at most.
const NEAR: usize = 4;

/// Where a storage's bytes are, by its key.
type Storages<'a> = &'a dyn Fn(&str) -> Option<Range<usize>>;

/// A node's number.
type Id = usize;

#[derive(Clone)]
enum Node {
    Plain(Value),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    /// `module.name`.
    Global(String),
    Storage {
        range: Range<usize>,
        count: usize,
        element: Element,
    },
}

struct Machine<'a> {
    file: &'a Arc<TensorFile>,
    storages: Storages<'a>,
    code: &'a [u8],
    at: usize,
    nodes: Vec<Node>,
    stack: Vec<Id>,
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
}

/// Runs the pickle in `range` of the file's bytes.
pub fn run(file: &Arc<TensorFile>, range: Range<usize>, storages: Storages<'_>) -> Result<Value, String> {
    let code = file.bytes.get(range).ok_or("its pickle is cut off")?;
    let mut machine = Machine {
        file,
        storages,
        code,
        at: 0,
        nodes: Vec::new(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
    };
    while machine.step()? {}
    let root = machine.pop()?;
    machine.tree(root, 0, &mut 0)
}

fn damaged() -> String {
    "its pickle is damaged".to_owned()
}

impl Machine<'_> {
    /// One instruction; false after the last.
    fn step(&mut self) -> Result<bool, String> {
        let place = self.at;
        let code = self.number(1)? as u8;
        match code {
            0x80 => drop(self.number(1)?),
            0x95 => drop(self.number(8)?),
            b'.' => return Ok(false),
            b'N' => self.plain(Value::None),
            0x88 => self.plain(Value::Bool(true)),
            0x89 => self.plain(Value::Bool(false)),
            b'K' => self.integer(1)?,
            b'M' => self.integer(2)?,
            b'J' => {
                let number = self.number(4)? as u32 as i32;
                self.plain(Value::Int(i64::from(number)));
            }
            0x8a => self.long()?,
            b'G' => {
                let bytes: [u8; 8] = self.take(8)?.try_into().map_err(|_| damaged())?;
                self.plain(Value::Float(f64::from_be_bytes(bytes)));
            }
            b'X' | b'T' => self.text(4)?,
            0x8c | b'U' => self.text(1)?,
            0x8d => self.text(8)?,
            b']' => self.push(Node::List(Vec::new())),
            b'}' => self.push(Node::Dict(Vec::new())),
            b')' => self.push(Node::Tuple(Vec::new())),
            b'(' => self.marks.push(self.stack.len()),
            b't' => {
                let items = self.since_mark()?;
                self.push(Node::Tuple(items));
            }
            0x85..=0x87 => {
                let items = self.stack.len().checked_sub(usize::from(code - 0x84)).ok_or_else(damaged)?;
                let items = self.stack.split_off(items);
                self.push(Node::Tuple(items));
            }
            b'a' => {
                let item = self.pop()?;
                self.append(vec![item])?;
            }
            b'e' => {
                let items = self.since_mark()?;
                self.append(items)?;
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.set(&[key, value])?;
            }
            b'u' => {
                let items = self.since_mark()?;
                self.set(&items)?;
            }
            b'0' => drop(self.pop()?),
            b'q' => self.memorise(1)?,
            b'r' => self.memorise(4)?,
            0x94 => {
                let number = u32::try_from(self.memo.len()).map_err(|_| damaged())?;
                self.memo.insert(number, self.top()?);
            }
            b'h' => self.recall(1)?,
            b'j' => self.recall(4)?,
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.global(&module, &name)?;
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (module, name) = (self.string(module)?, self.string(name)?);
                self.global(&module, &name)?;
            }
            b'Q' => self.storage()?,
            b'R' => self.call()?,
            b'b' => self.build()?,
            _ => return Err(format!("its pickle has instruction {code:#04x} at byte {place}, which no tensor needs")),
        }
        Ok(true)
    }

    fn take(&mut self, count: usize) -> Result<&[u8], String> {
        let end = self.at.checked_add(count).ok_or_else(damaged)?;
        let bytes = self.code.get(self.at..end).ok_or("its pickle is cut off")?;
        self.at = end;
        Ok(bytes)
    }

    fn number(&mut self, size: usize) -> Result<u64, String> {
        Ok(self.take(size)?.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn line(&mut self) -> Result<String, String> {
        let rest = self.code.get(self.at..).ok_or_else(damaged)?;
        let length = rest.iter().position(|byte| *byte == b'\n').ok_or_else(damaged)?;
        let line = self.take(length + 1)?;
        String::from_utf8(line[..length].to_vec()).map_err(|_| damaged())
    }

    fn push(&mut self, node: Node) {
        self.stack.push(self.nodes.len());
        self.nodes.push(node);
    }

    fn plain(&mut self, value: Value) {
        self.push(Node::Plain(value));
    }

    fn integer(&mut self, size: usize) -> Result<(), String> {
        let number = self.number(size)?;
        self.plain(Value::Int(number as i64));
        Ok(())
    }

    /// An integer of any length, in two's complement.
    fn long(&mut self) -> Result<(), String> {
        let length = self.number(1)? as usize;
        let bytes = self.take(length)?;
        if bytes.len() > 8 {
            return Err("its pickle has an integer of more than 64 bits".to_owned());
        }
        let fill = if bytes.last().is_some_and(|byte| byte & 0x80 != 0) { 0xff } else { 0 };
        let mut wide = [fill; 8];
        wide[..bytes.len()].copy_from_slice(bytes);
        self.plain(Value::Int(i64::from_le_bytes(wide)));
        Ok(())
    }

    fn text(&mut self, size: usize) -> Result<(), String> {
        let length = usize::try_from(self.number(size)?).map_err(|_| damaged())?;
        let text = String::from_utf8(self.take(length)?.to_vec()).map_err(|_| "a string in its pickle is not UTF-8")?;
        self.plain(Value::Text(text));
        Ok(())
    }

    fn pop(&mut self) -> Result<Id, String> {
        // What lies below a mark belongs to whoever set it.
        let floor = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() <= floor {
            return Err(damaged());
        }
        self.stack.pop().ok_or_else(damaged)
    }

    fn top(&self) -> Result<Id, String> {
        self.stack.last().copied().ok_or_else(damaged)
    }

    fn since_mark(&mut self) -> Result<Vec<Id>, String> {
        let mark = self.marks.pop().filter(|mark| *mark <= self.stack.len()).ok_or_else(damaged)?;
        Ok(self.stack.split_off(mark))
    }

    fn append(&mut self, items: Vec<Id>) -> Result<(), String> {
        let list = self.top()?;
        match &mut self.nodes[list] {
            Node::List(list) => list.extend(items),
            _ => return Err(damaged()),
        }
        Ok(())
    }

    fn set(&mut self, items: &[Id]) -> Result<(), String> {
        let dict = self.top()?;
        match (&mut self.nodes[dict], items.as_chunks::<2>()) {
            (Node::Dict(dict), (pairs, [])) => dict.extend(pairs.iter().map(|[key, value]| (*key, *value))),
            _ => return Err(damaged()),
        }
        Ok(())
    }

    fn memorise(&mut self, size: usize) -> Result<(), String> {
        let number = self.number(size)? as u32;
        self.memo.insert(number, self.top()?);
        Ok(())
    }

    fn recall(&mut self, size: usize) -> Result<(), String> {
        let number = self.number(size)? as u32;
        self.stack.push(*self.memo.get(&number).ok_or_else(damaged)?);
        Ok(())
    }

    fn string(&self, id: Id) -> Result<String, String> {
        match &self.nodes[id] {
            Node::Plain(Value::Text(text)) => Ok(text.clone()),
            _ => Err(damaged()),
        }
    }

    fn size(&self, id: Id) -> Result<usize, String> {
        match self.nodes[id] {
            Node::Plain(Value::Int(number)) => usize::try_from(number).map_err(|_| damaged()),
            _ => Err(damaged()),
        }
    }

    fn sizes(&self, id: Id) -> Result<Vec<usize>, String> {
        self.few(id)?.iter().map(|id| self.size(*id)).collect()
    }

    fn items(&self, id: Id) -> Result<&[Id], String> {
        match &self.nodes[id] {
            Node::Tuple(items) => Ok(items),
            _ => Err(damaged()),
        }
    }

    /// The same where there cannot be many: what is copied by every instruction would add up.
    fn few(&self, id: Id) -> Result<&[Id], String> {
        self.items(id).and_then(|items| if items.len() <= MAX_ARGUMENTS { Ok(items) } else { Err(damaged()) })
    }

    /// A name of Python's. Those that tensors need are known; all others end the reading.
    fn global(&mut self, module: &str, name: &str) -> Result<(), String> {
        let full = format!("{module}.{name}");
        let known = matches!(
            full.as_str(),
            "collections.OrderedDict" | "torch._utils._rebuild_tensor_v2" | "torch._utils._rebuild_parameter"
        ) || module == "torch" && Element::of_storage(name).is_some();
        if !known {
            return Err(format!(
                "it asks Python for `{}`; only tensors, numbers, strings, lists and dictionaries are read, and nothing \
                 is executed",
                full.escape_debug()
            ));
        }
        self.push(Node::Global(full));
        Ok(())
    }

    fn name(&self, id: Id) -> Result<&str, String> {
        match &self.nodes[id] {
            Node::Global(name) => Ok(name),
            _ => Err(damaged()),
        }
    }

    /// ("storage", class, key, device, count).
    fn storage(&mut self) -> Result<(), String> {
        let id = self.pop()?;
        let &[kind, class, key, _, count] = self.items(id)? else { return Err(damaged()) };
        if self.string(kind)? != "storage" {
            return Err(damaged());
        }
        let element = self.name(class)?.strip_prefix("torch.").and_then(Element::of_storage).ok_or_else(damaged)?;
        let (key, count) = (self.string(key)?, self.size(count)?);
        let range = (self.storages)(&key).ok_or_else(|| format!("it lacks the storage `{}`", key.escape_debug()))?;
        if count.checked_mul(element.size()) != Some(range.len()) {
            let bytes = range.len();
            return Err(format!("the storage `{}` has {bytes} bytes for {count} elements", key.escape_debug()));
        }
        self.push(Node::Storage { range, count, element });
        Ok(())
    }

    /// A call of one of the known names.
    fn call(&mut self) -> Result<(), String> {
        let (arguments, name) = (self.pop()?, self.pop()?);
        let arguments = self.few(arguments)?.to_vec();
        let node = match (self.name(name)?, arguments.as_slice()) {
            ("collections.OrderedDict", []) => Node::Dict(Vec::new()),
            ("torch._utils._rebuild_tensor_v2", [storage, offset, shape, strides, ..]) => {
                let tensor = self.tensor(*storage, *offset, *shape, *strides);
                Node::Plain(Value::Tensor(tensor.map_err(|why| self.named(why))?))
            }
            ("torch._utils._rebuild_parameter", [tensor, ..]) => match &self.nodes[*tensor] {
                Node::Plain(Value::Tensor(tensor)) => Node::Plain(Value::Tensor(tensor.clone())),
                _ => return Err(damaged()),
            },
            _ => return Err(damaged()),
        };
        self.push(node);
        Ok(())
    }

    /// A tensor's trouble with its name: the key that waits for it on the stack, below it or what it is wrapped in.
    fn named(&self, why: String) -> String {
        let text = |id: &Id| match &self.nodes[*id] {
            Node::Plain(Value::Text(text)) => Some(text),
            _ => None,
        };
        match self.stack.iter().rev().take(NEAR).find_map(text) {
            Some(name) => why.replacen("a tensor", &format!("tensor `{name}`"), 1),
            None => why,
        }
    }

    fn tensor(&self, storage: Id, offset: Id, shape: Id, strides: Id) -> Result<Tensor, String> {
        let Node::Storage { range, count, element } = &self.nodes[storage] else { return Err(damaged()) };
        let (offset, shape, strides) = (self.size(offset)?, self.sizes(shape)?, self.sizes(strides)?);
        let beyond = || "a tensor reaches beyond its storage".to_owned();
        if shape.len() != strides.len() {
            return Err(damaged());
        }
        let elements = shape.iter().try_fold(1usize, |n, size| n.checked_mul(*size)).ok_or_else(beyond)?;
        let span = if elements == 0 {
            0
        } else {
            let last = shape
                .iter()
                .zip(&strides)
                .try_fold(0usize, |sum, (size, stride)| sum.checked_add((size - 1).checked_mul(*stride)?));
            last.and_then(|last| last.checked_add(1)).ok_or_else(beyond)?
        };
        if offset.checked_add(span).is_none_or(|end| end > *count) {
            return Err(beyond());
        }
        // A tensor that was expanded (`tensor.expand`) has more elements than places. A small file could ask for any
        // amount of memory so; a threshold or a bias of any SAE does not.
        if elements > span.max(MAX_EXPANDED) {
            return Err(format!(
                "a tensor is expanded from {span} places to {elements} elements; {MAX_EXPANDED} at most are read"
            ));
        }
        let mut ordered = 1usize;
        let in_order = shape.iter().zip(&strides).rev().all(|(size, stride)| {
            let fits = *size == 1 || *stride == ordered;
            // Of a tensor without elements the sizes may be any.
            ordered = ordered.saturating_mul(*size.max(&1));
            fits
        });
        let start = range.start + offset * element.size();
        Ok(Tensor {
            file: Arc::clone(self.file),
            range: start..start + span * element.size(),
            shape,
            strides: (!in_order && elements > 0).then_some(strides),
            element: *element,
        })
    }

    /// Attributes of an ordered dictionary, such as a module's `_metadata`: they say nothing about the tensors.
    fn build(&mut self) -> Result<(), String> {
        self.pop()?;
        match self.nodes[self.top()?] {
            Node::Dict(_) => Ok(()),
            _ => Err(damaged()),
        }
    }

    /// A node with all below it.
    fn tree(&self, id: Id, depth: usize, count: &mut usize) -> Result<Value, String> {
        *count += 1;
        if depth > DEEPEST || *count > MAX_VALUES {
            return Err("its values are nested too deep or are too many".to_owned());
        }
        match &self.nodes[id] {
            Node::Plain(value) => {
                if let Value::Text(text) = value {
                    *count += text.len() / MAX_SHOWN_TEXT;
                }
                Ok(value.clone())
            }
            Node::Tuple(items) | Node::List(items) => {
                items.iter().map(|id| self.tree(*id, depth + 1, count)).collect::<Result<_, _>>().map(Value::List)
            }
            Node::Dict(pairs) => {
                let pairs = pairs.iter().map(|(key, value)| {
                    let key = match &self.nodes[*key] {
                        Node::Plain(Value::Text(key)) => {
                            *count += key.len() / MAX_SHOWN_TEXT;
                            key.clone()
                        }
                        Node::Plain(Value::Int(key)) => key.to_string(),
                        _ => return Err("a key of a dictionary is neither a string nor a number".to_owned()),
                    };
                    Ok((key, self.tree(*value, depth + 1, count)?))
                });
                pairs.collect::<Result<_, _>>().map(Value::Dict)
            }
            Node::Global(name) => Err(format!("it holds `{name}` itself as a value")),
            Node::Storage { .. } => Err("it holds a storage without a tensor".to_owned()),
        }
    }
}
