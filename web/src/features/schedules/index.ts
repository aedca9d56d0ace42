export { GroupSchedules, SchedulesCard } from './ui/SchedulesCard';
export { retentionText, whenOf, whenText } from './model';
