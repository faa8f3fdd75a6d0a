//! Many tests on as many processors as there are, their results in order.

use std::{
    collections::BTreeMap,
    num::NonZero,
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
};

/// Does `work` on as many items at once as there are processors, and hands what comes of it to
/// `show` in the order of the items, each as soon as it and all before it are done.
pub(crate) fn in_order<T: Sync, R: Send>(
    items: &[T],
    work: impl Fn(&T) -> R + Sync,
    mut show: impl FnMut(R),
) {
    let next = AtomicUsize::new(0);
    let (done, results) = mpsc::channel();
    thread::scope(|scope| {
        let processors = thread::available_parallelism().map_or(1, NonZero::get);
        for _ in 0..processors.min(items.len()) {
            let (done, next, work) = (done.clone(), &next, &work);
            scope.spawn(move || {
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(place) else { return };
                    if done.send((place, work(item))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(done);
        let mut waiting = BTreeMap::new();
        let mut shown = 0;
        for (place, result) in results {
            waiting.insert(place, result);
            while let Some(result) = waiting.remove(&shown) {
                show(result);
                shown += 1;
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::in_order;

    #[test]
    fn results_come_in_the_order_of_the_items() {
        let mut shown = Vec::new();
        let items: Vec<u64> = (0..40).collect();
        in_order(
            &items,
            |item| {
                // The later ones are done first.
                std::thread::sleep(std::time::Duration::from_micros(400 - 10 * item));
                *item
            },
            |item| shown.push(item),
        );
        assert_eq!(shown, items);
    }
}
