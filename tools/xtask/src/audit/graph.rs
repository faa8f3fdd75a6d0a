//! Cycles in a graph of blocks.

use std::collections::{BTreeMap, BTreeSet};

/// Whether a way leads from `from` back to it, inside `within`.
pub(super) fn is_on_cycle<'a>(
    from: u64,
    within: &BTreeSet<u64>,
    next: impl Fn(u64) -> &'a [u64],
) -> bool {
    let mut seen = BTreeSet::new();
    let mut open = vec![from];
    while let Some(node) = open.pop() {
        for &to in next(node) {
            if to == from && within.contains(&to) {
                return true;
            }
            if within.contains(&to) && seen.insert(to) {
                open.push(to);
            }
        }
    }
    false
}

/// A strongly connected component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Component {
    pub(super) nodes: BTreeSet<u64>,
    /// It is a loop, and not a node by itself.
    pub(super) is_loop: bool,
}

/// The strongly connected components inside `within`, each behind those to which it leads:
/// Tarjan's algorithm, without recursion.
pub(super) fn components<'a>(
    within: &BTreeSet<u64>,
    next: impl Fn(u64) -> &'a [u64],
) -> Vec<Component> {
    let mut search = Search::default();
    for &root in within {
        if search.index.contains_key(&root) {
            continue;
        }
        search.enter(root);
        while let Some(&(node, place)) = search.path.last() {
            if let Some(&to) = next(node).get(place) {
                search.advance();
                if !within.contains(&to) {
                    continue;
                }
                if search.index.contains_key(&to) {
                    search.meet(node, to);
                } else {
                    search.enter(to);
                }
            } else {
                search.leave(node, next(node).contains(&node));
            }
        }
    }
    search.found
}

#[derive(Default)]
struct Search {
    index: BTreeMap<u64, usize>,
    low: BTreeMap<u64, usize>,
    /// Nodes whose component is not known yet.
    open: Vec<u64>,
    is_open: BTreeSet<u64>,
    /// The way to where the search is, and how many edges of each node were gone.
    path: Vec<(u64, usize)>,
    found: Vec<Component>,
}

impl Search {
    fn enter(&mut self, node: u64) {
        let index = self.index.len();
        self.index.insert(node, index);
        self.low.insert(node, index);
        self.open.push(node);
        self.is_open.insert(node);
        self.path.push((node, 0));
    }

    fn advance(&mut self) {
        if let Some((_, place)) = self.path.last_mut() {
            *place += 1;
        }
    }

    fn meet(&mut self, node: u64, to: u64) {
        if self.is_open.contains(&to) {
            let index = self.index.get(&to).copied();
            self.lower(node, index);
        }
    }

    fn lower(&mut self, node: u64, to: Option<usize>) {
        if let (Some(low), Some(to)) = (self.low.get_mut(&node), to) {
            *low = (*low).min(to);
        }
    }

    fn leave(&mut self, node: u64, leads_to_itself: bool) {
        self.path.pop();
        let low = self.low.get(&node).copied();
        if let Some(&(above, _)) = self.path.last() {
            self.lower(above, low);
        }
        if low != self.index.get(&node).copied() {
            return;
        }
        let mut nodes = BTreeSet::new();
        while let Some(member) = self.open.pop() {
            self.is_open.remove(&member);
            nodes.insert(member);
            if member == node {
                break;
            }
        }
        let is_loop = nodes.len() > 1 || leads_to_itself;
        self.found.push(Component { nodes, is_loop });
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{components, is_on_cycle};

    /// 1 -> 2 -> 3 -> 2, 3 -> 4 -> 4, 4 -> 5.
    fn next(node: u64) -> &'static [u64] {
        match node {
            1 => &[2],
            2 => &[3],
            3 => &[2, 4],
            4 => &[4, 5],
            _ => &[],
        }
    }

    #[test]
    fn loops_are_found_innermost_way_out_first() {
        let all = BTreeSet::from([1, 2, 3, 4, 5]);
        let found: Vec<_> = components(&all, next)
            .into_iter()
            .map(|component| {
                (
                    component.nodes.into_iter().collect::<Vec<_>>(),
                    component.is_loop,
                )
            })
            .collect();
        let wanted = [
            (vec![5], false),
            (vec![4], true),
            (vec![2, 3], true),
            (vec![1], false),
        ];
        assert_eq!(found, wanted);
    }

    #[test]
    fn a_cycle_ends_where_a_node_is_left_out() {
        assert!(is_on_cycle(2, &BTreeSet::from([2, 3]), next));
        assert!(!is_on_cycle(2, &BTreeSet::from([2]), next));
        assert!(is_on_cycle(4, &BTreeSet::from([4]), next));
        assert!(!is_on_cycle(5, &BTreeSet::from([4, 5]), next));
    }
}
