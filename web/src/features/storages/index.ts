export { storagesQuery } from './queries';
export { kindTitleOf, unwell } from './model';
