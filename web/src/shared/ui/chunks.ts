import { useEffect, useRef, useState } from 'react';

/** So many rows are drawn together, or not at all. */
export const CHUNK = 20;
/** A list that is no longer is drawn whole; of a longer one, what is near. */
const WHOLE = 60;
/** Chunks that are drawn before anybody has looked where the list stands. */
const FIRST = 2;
/** How far from what is seen, in px, rows are drawn already: further than a key walks in one step. */
const NEAR = 800;

export interface Piece<T> {
  rows: readonly T[];
  /** The place of its first row in the list. */
  start: number;
  /** Drawn before it is known whether it is near. */
  first: boolean;
}

/** A list in pieces; a short one is one piece, always drawn. */
export function pieces<T>(rows: readonly T[]): Piece<T>[] {
  if (rows.length <= WHOLE) return [{ rows, start: 0, first: true }];
  return Array.from({ length: Math.ceil(rows.length / CHUNK) }, (_, n) => ({ rows: rows.slice(n * CHUNK, (n + 1) * CHUNK), start: n * CHUNK, first: n < FIRST }));
}

/** One observer for all pieces of all lists. */
const told = new WeakMap<Element, (near: boolean) => void>();
let watch: IntersectionObserver | undefined;

function observer(): IntersectionObserver {
  watch ??= new IntersectionObserver(
    (entries) => {
      for (const entry of entries) told.get(entry.target)?.(entry.isIntersecting);
    },
    { rootMargin: `${NEAR}px 0px` },
  );
  return watch;
}

/**
 * Whether a piece of a list is drawn: near to what is seen, or with the focus inside. One that is not keeps the
 * height it had, or one that is guessed.
 */
export function usePiece<E extends HTMLElement>(first: boolean, whole: boolean, guess: number) {
  const place = useRef<E>(null);
  const [near, setNear] = useState(first);
  const [height, setHeight] = useState<number>();
  useEffect(() => {
    const element = place.current;
    if (whole || !element) return;
    told.set(element, (now) => {
      if (!now && element.contains(document.activeElement)) return;
      if (!now) setHeight(element.offsetHeight);
      setNear(now);
    });
    observer().observe(element);
    return () => {
      observer().unobserve(element);
      told.delete(element);
    };
  }, [whole]);
  return { place, drawn: whole || near, height: height ?? guess };
}
