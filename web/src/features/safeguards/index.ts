export { SafeguardsCard } from './ui/SafeguardsCard';
