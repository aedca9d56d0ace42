export { RestoreDialog } from './ui/RestoreDialog';
export { newestGood } from './model';
export { momentsQuery } from './queries';
export { windowOf, inWords } from './moment';
