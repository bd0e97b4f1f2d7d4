//! Prints the types of a large blob on all threads.
//!
//! Types are cut into batches of about equal length. In each round every thread prints one of them into a buffer, while
//! those of the round before are written in their order. So the output is the same for any number of threads, and no more than
//! two rounds are in memory.
//!
//! Only the budget for long names makes a type depend on those before it. The first batch that meets such a name is thrown away,
//! and the rest is printed one after the other.

use std::io::{self, Sink, Write};
use std::ops::Range;

use btf_core::TypeId;

use super::Format;
use super::types::Printer;
use crate::names::Names;

/// The words of types in one batch: some 200 KiB of JSON, which stay in the processor's cache, and a quarter of a millisecond.
const BATCH: u32 = 16 << 10;

/// The room for the text of a batch in bytes, so that a buffer need not grow. What is not used costs nothing.
const ROOM: usize = 32 * BATCH as usize;

/// Prints batches; its buffer is used again and again.
type Worker<'a, F> = Printer<'a, F, Sink>;

impl<'a, F: Format + Send, W: Write> Printer<'a, F, W> {
    /// Prints own types, if they are worth it, and returns the id of the first one that is left.
    pub(super) fn side_by_side(&mut self) -> io::Result<u32> {
        let btf = self.btf;
        let own = btf.first_id()..btf.end_id();
        if btf.words().len() < 2 * BATCH as usize {
            return Ok(own.start);
        }
        // What stands before the types comes first.
        self.write_out()?;
        let threads = rayon::current_num_threads();
        let mut round: Vec<_> = (0..threads).map(|_| self.worker()).collect();
        let mut next: Vec<_> = (0..threads).map(|_| self.worker()).collect();
        let mut batches = vec![own.start..own.start; threads];
        let mut at = own.start;
        loop {
            let before = batches.clone();
            for batch in &mut batches {
                *batch = at..self.end_of_batch(at);
                at = batch.end;
            }
            let written = rayon::in_place_scope(|scope| {
                let mut work = next.iter_mut().zip(batches.clone());
                let own_work = work.next();
                for (worker, batch) in work {
                    scope.spawn(move |_| worker.print(batch));
                }
                // This thread writes, and then prints like the others, so that there are no more threads than cores.
                let written = self.write_round(&mut round, &before);
                if let Some((worker, batch)) = own_work {
                    worker.print(batch);
                }
                written
            });
            if let Some(left) = written? {
                self.go_on(left);
                return Ok(left);
            }
            if before.last().is_some_and(|batch| batch.end == own.end) {
                return Ok(own.end);
            }
            std::mem::swap(&mut round, &mut next);
        }
    }

    /// Lets the next record be that of the type `id`.
    fn go_on(&mut self, id: u32) {
        let buffer = std::mem::take(self.format.buffer());
        self.format = self.format.beside(id == self.btf.first_id());
        *self.format.buffer() = buffer;
    }

    fn worker(&self) -> Worker<'a, F> {
        let mut format = self.format.beside(true);
        format.buffer().reserve(ROOM);
        Printer {
            btf: self.btf,
            names: Names::new(self.btf),
            is_long: self.is_long,
            format,
            chunk: usize::MAX,
            out: io::sink(),
        }
    }

    /// The id behind the last type of a batch that starts with the type `first`.
    fn end_of_batch(&self, first: u32) -> u32 {
        let starts = self.btf.starts();
        let index = first - self.btf.first_id();
        let rest = starts.get(index as usize..).unwrap_or_default();
        let [start, behind @ ..] = rest else {
            return first;
        };
        let count = behind.partition_point(|end| end - start <= BATCH);
        let end = first.saturating_add(u32::try_from(count.max(1)).unwrap_or(u32::MAX));
        end.min(self.btf.end_id())
    }

    /// Writes what workers have printed; returns where the first batch that met a long name starts.
    fn write_round(
        &mut self,
        round: &mut [Worker<'a, F>],
        batches: &[Range<u32>],
    ) -> io::Result<Option<u32>> {
        for (worker, batch) in round.iter_mut().zip(batches) {
            if worker.names.has_met_long() {
                return Ok(Some(batch.start));
            }
            let buffer = worker.format.buffer();
            self.out.write_all(buffer)?;
            buffer.clear();
        }
        Ok(None)
    }
}

impl<F: Format + Send> Worker<'_, F> {
    /// Prints a batch into the buffer, which is empty.
    fn print(&mut self, batch: Range<u32>) {
        self.go_on(batch.start);
        let printed = self.types_of(batch.map(TypeId));
        // Nothing is written, so nothing can fail.
        debug_assert!(printed.is_ok());
    }
}

#[cfg(test)]
mod tests {
    use btf_core::{Builder, TypeId};

    use crate::listing::{Options, Parts, Request, write_json, write_text};

    /// A list of all ids takes the way of one type after the other.
    #[test]
    fn batches_print_what_one_type_after_the_other_does() {
        let long = "a".repeat(600);
        for long_ids in [&[][..], &[0], &[7_000, 7_001, 7_002, 7_003, 19_999]] {
            let mut builder = Builder::new();
            for id in 0..20_000 {
                let name = if long_ids.contains(&id) {
                    &format!("{long}{id}")
                } else {
                    &format!("name{id}")
                };
                builder.typedef(name.as_bytes(), TypeId::VOID).unwrap();
            }
            let btf = builder.finish().unwrap();
            let ids: Vec<_> = (1..btf.end_id()).map(TypeId).collect();
            let list = |ids| {
                let (parts, options) = (Parts::ALL, Options::default());
                let (btf, ext) = (&btf, None);
                let request = Request {
                    btf,
                    ids,
                    ext,
                    parts,
                    options,
                };
                let (mut text, mut json) = (Vec::new(), Vec::new());
                write_text(&request, &mut text).unwrap();
                write_json(&request, None, &mut json).unwrap();
                (text, json)
            };
            assert!(list(None) == list(Some(&ids)), "{long_ids:?}");
        }
    }
}
