-- What a drill decided can be asked for by cluster; what users want proven of their data in drills.

ALTER TABLE drills ADD COLUMN result TEXT NOT NULL DEFAULT '';
-- In a document the quotes within texts are escaped, so that only the field itself looks like this.
UPDATE drills SET result = 'passed' WHERE doc LIKE '%"result":"passed"%';
UPDATE drills SET result = 'failed' WHERE doc LIKE '%"result":"failed"%';
UPDATE drills SET result = 'not_done' WHERE doc LIKE '%"result":"not_done"%';
CREATE INDEX drills_result ON drills (result, cluster, at, id);

CREATE TABLE assertions (
    cluster TEXT PRIMARY KEY,
    doc TEXT NOT NULL
);
