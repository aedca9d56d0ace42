export { bodyOf as copyBodyOf, copyFaults, hasFaults, placesText, shortened, type DaysOf } from './model';
export { CopyDays } from './ui/CopyDays';
