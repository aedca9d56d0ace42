import type { CreateSearch } from '~/search';
import type { Choice } from '../create';

/** What each step of the wizard has: what is chosen, and how it is changed. */
export interface Part {
  choice: Choice;
  change: (part: CreateSearch, replace?: boolean) => void;
}
