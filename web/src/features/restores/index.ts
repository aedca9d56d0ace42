export { RestoreDialog } from './ui/RestoreDialog';
export { newestGood } from './model';
