//! An allocator that counts: what a test asserts of allocations, it asserts of these numbers. A test binary that has this
//! module allocates through it.

#![allow(unsafe_code, reason = "a global allocator is an unsafe trait; this one counts and passes on")]
#![allow(dead_code, reason = "each test binary uses its part")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts what the current thread allocates, so that tests do not see each other.
struct Counting;

/// What threads have allocated that were [seen](let_others_see).
static SEEN: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static IS_SEEN: Cell<bool> = const { Cell::new(false) };
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    static BYTES: Cell<isize> = const { Cell::new(0) };
}

fn count(calls: u64, bytes: isize) {
    // A thread that ends may free and allocate when its counters are gone.
    let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + calls));
    if IS_SEEN.try_with(Cell::get).unwrap_or(false) {
        SEEN.fetch_add(calls, Ordering::Relaxed);
    }
    let _ = BYTES.try_with(|count| count.set(count.get() + bytes));
}

// SAFETY: every call is passed on as it came to the system's allocator, which keeps the trait's promises.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size().cast_signed());
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(0, -layout.size().cast_signed());
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(1, size.cast_signed() - layout.size().cast_signed());
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How many allocations the current thread has made.
pub(crate) fn allocations() -> u64 {
    ALLOCATIONS.with(Cell::get)
}

/// From now on, other threads see how many allocations the current one makes.
pub(crate) fn let_others_see() {
    IS_SEEN.with(|is_seen| is_seen.set(true));
}

/// How many allocations were made by threads that let others see it.
pub(crate) fn allocations_seen() -> u64 {
    SEEN.load(Ordering::Relaxed)
}

/// Bytes that the current thread has allocated and not freed.
pub(crate) fn allocated_bytes() -> isize {
    BYTES.with(Cell::get)
}
