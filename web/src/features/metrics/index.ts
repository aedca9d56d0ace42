export { useCurves } from './queries';
export { latest, toFull } from './model';
export { UsageCard } from './ui/UsageCard';
