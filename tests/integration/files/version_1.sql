BEGIN TRANSACTION;
CREATE TABLE counter (
    app TEXT NOT NULL, name TEXT NOT NULL, bucket INTEGER NOT NULL,
    used INTEGER NOT NULL, ends_at INTEGER NOT NULL,
    PRIMARY KEY (app, name, bucket)
) WITHOUT ROWID;
INSERT INTO "counter" VALUES('app','tokens:60000ms:user=user',1777982400,86,1777982462000);
INSERT INTO "counter" VALUES('app','tokens:billing_month:user=user',1777593600000,86,1780963200000);
INSERT INTO "counter" VALUES('app','tokens:lifetime:user=user',0,86,4611686018427387904);
CREATE TABLE entry (
    reservation TEXT NOT NULL, position INTEGER NOT NULL, app TEXT NOT NULL, name TEXT NOT NULL,
    kind TEXT NOT NULL, a INTEGER NOT NULL, b INTEGER NOT NULL, meter TEXT NOT NULL,
    bucket INTEGER NOT NULL, held INTEGER NOT NULL, drawn INTEGER NOT NULL,
    PRIMARY KEY (reservation, position)
) WITHOUT ROWID;
INSERT INTO "entry" VALUES('res_YXBw.t1',0,'app','tokens:billing_month:user=user','p',1777593600000,1780272000000,'tokens',1777593600000,30,0);
INSERT INTO "entry" VALUES('res_YXBw.t1',1,'app','tokens:60000ms:user=user','s',1000,60000,'tokens',1777982400,30,0);
INSERT INTO "entry" VALUES('res_YXBw.t1',2,'app','tokens:lifetime:user=user','p',0,0,'tokens',0,30,0);
INSERT INTO "entry" VALUES('res_YXBw.t1',3,'app','concurrency:lifetime:user=user','p',0,0,'concurrency',0,1,0);
INSERT INTO "entry" VALUES('res_YXBw.t2',0,'app','tokens:billing_month:user=user','p',1777593600000,1780272000000,'tokens',1777593600000,30,20);
INSERT INTO "entry" VALUES('res_YXBw.t2',1,'app','tokens:60000ms:user=user','s',1000,60000,'tokens',1777982400,30,20);
INSERT INTO "entry" VALUES('res_YXBw.t2',2,'app','tokens:lifetime:user=user','p',0,0,'tokens',0,30,20);
INSERT INTO "entry" VALUES('res_YXBw.t2',3,'app','concurrency:lifetime:user=user','p',0,0,'concurrency',0,1,0);
INSERT INTO "entry" VALUES('res_YXBw.t3',0,'app','tokens:billing_month:user=user','p',1777593600000,1780272000000,'tokens',1777593600000,0,24);
INSERT INTO "entry" VALUES('res_YXBw.t3',1,'app','tokens:60000ms:user=user','s',1000,60000,'tokens',1777982400,0,24);
INSERT INTO "entry" VALUES('res_YXBw.t3',2,'app','tokens:lifetime:user=user','p',0,0,'tokens',0,0,24);
INSERT INTO "entry" VALUES('res_YXBw.t3',3,'app','concurrency:lifetime:user=user','p',0,0,'concurrency',0,0,0);
INSERT INTO "entry" VALUES('res_YXBw.t4',0,'app','tokens:billing_month:user=user','p',1777593600000,1780272000000,'tokens',1777593600000,0,0);
INSERT INTO "entry" VALUES('res_YXBw.t4',1,'app','tokens:60000ms:user=user','s',1000,60000,'tokens',1777982400,0,0);
INSERT INTO "entry" VALUES('res_YXBw.t4',2,'app','tokens:lifetime:user=user','p',0,0,'tokens',0,0,0);
INSERT INTO "entry" VALUES('res_YXBw.t4',3,'app','concurrency:lifetime:user=user','p',0,0,'concurrency',0,0,0);
INSERT INTO "entry" VALUES('res_YXBw.t5',0,'app','tokens:billing_month:user=user','p',1777593600000,1780272000000,'tokens',1777593600000,0,0);
INSERT INTO "entry" VALUES('res_YXBw.t5',1,'app','tokens:60000ms:user=user','s',1000,60000,'tokens',1777982400,0,0);
INSERT INTO "entry" VALUES('res_YXBw.t5',2,'app','tokens:lifetime:user=user','p',0,0,'tokens',0,0,0);
INSERT INTO "entry" VALUES('res_YXBw.t5',3,'app','concurrency:lifetime:user=user','p',0,0,'concurrency',0,0,0);
INSERT INTO "entry" VALUES('res_YXBw.t6',0,'app','tokens:billing_month:user=user','p',1777593600000,1780272000000,'tokens',1777593600000,10,0);
INSERT INTO "entry" VALUES('res_YXBw.t6',1,'app','tokens:60000ms:user=user','s',1000,60000,'tokens',1777982400,10,0);
INSERT INTO "entry" VALUES('res_YXBw.t6',2,'app','tokens:lifetime:user=user','p',0,0,'tokens',0,10,0);
INSERT INTO "entry" VALUES('res_YXBw.t6',3,'app','concurrency:lifetime:user=user','p',0,0,'concurrency',0,1,0);
INSERT INTO "entry" VALUES('res_YXBw.t6',4,'app','tokens:billing_month:user=user','p',1777593600000,1780272000000,'tokens',1777593600000,5,0);
INSERT INTO "entry" VALUES('res_YXBw.t6',5,'app','tokens:60000ms:user=user','s',1000,60000,'tokens',1777982400,5,0);
INSERT INTO "entry" VALUES('res_YXBw.t6',6,'app','tokens:lifetime:user=user','p',0,0,'tokens',0,5,0);
INSERT INTO "entry" VALUES('res_YXBw.t6',7,'app','concurrency:lifetime:user=user','p',0,0,'concurrency',0,0,0);
INSERT INTO "entry" VALUES('res_YXBw.t7',0,'app','tokens:billing_month:user=user','p',1777593600000,1780272000000,'tokens',1777593600000,28,0);
INSERT INTO "entry" VALUES('res_YXBw.t7',1,'app','tokens:60000ms:user=user','s',1000,60000,'tokens',1777982410,28,0);
INSERT INTO "entry" VALUES('res_YXBw.t7',2,'app','tokens:lifetime:user=user','p',0,0,'tokens',0,28,0);
INSERT INTO "entry" VALUES('res_YXBw.t7',3,'app','concurrency:lifetime:user=user','p',0,0,'concurrency',0,1,0);
INSERT INTO "entry" VALUES('res_b3RoZXI.t8',0,'other','tokens:billing_month:user=user','p',1777593600000,1780272000000,'tokens',1777593600000,7,0);
INSERT INTO "entry" VALUES('res_b3RoZXI.t8',1,'other','tokens:60000ms:user=user','s',1000,60000,'tokens',1777982410,7,0);
INSERT INTO "entry" VALUES('res_b3RoZXI.t8',2,'other','tokens:lifetime:user=user','p',0,0,'tokens',0,7,0);
INSERT INTO "entry" VALUES('res_b3RoZXI.t8',3,'other','concurrency:lifetime:user=user','p',0,0,'concurrency',0,1,0);
CREATE TABLE event (
    app TEXT NOT NULL, digest TEXT NOT NULL, forgotten_at INTEGER NOT NULL,
    PRIMARY KEY (app, digest)
) WITHOUT ROWID;
INSERT INTO "event" VALUES('app','1cd04d5d1c159a05437edcd80a091c6b',1778673600000);
INSERT INTO "event" VALUES('app','9de52e2afe41ae8c4b1354908fbcad35',1778673600000);
CREATE TABLE request (
    app TEXT NOT NULL, digest TEXT NOT NULL, reservation TEXT NOT NULL,
    forgotten_at INTEGER NOT NULL, PRIMARY KEY (app, digest)
) WITHOUT ROWID;
INSERT INTO "request" VALUES('app','58696c3c0270c4aafd3e4a6306b9b769','res_YXBw.t1',1777986600000);
CREATE TABLE reservation (
    id TEXT PRIMARY KEY, app TEXT NOT NULL, state TEXT NOT NULL, expires_at INTEGER NOT NULL,
    tokens INTEGER NOT NULL, fingerprint TEXT NOT NULL, decision TEXT NOT NULL,
    extension TEXT NOT NULL, request TEXT NOT NULL, limits TEXT NOT NULL, readings TEXT NOT NULL,
    forgotten_at INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO "reservation" VALUES('res_YXBw.t1','app','held',1777986000000,30,'10632d26ed3cddf4a4a909ee922ca8a1','dec_1','','{"action":"","agent":"","attributes":{},"estimate":{"concurrency":1,"cost":0,"input_tokens":0,"output_tokens":0,"requests":1,"tokens":30},"feature":"","model":"","plugin":"","request_id":"r-1","reserve":true,"session_id":"","subject":{"app_id":"app","tenant_id":"","user_id":"user"},"ttl_s":3600,"workflow":""}','[["monthly","tokens",1000,"billing_month",["app","user"],"enforce",0],["minute","tokens",500,"1m",["app","user"],"enforce",1],["ever","tokens",null,"lifetime",["app","user"],"enforce",2],["running","concurrency",9,"lifetime",["app","user"],"enforce",3]]','[[[42, 0, 1780272000000], [42, 0, 1777982461000], [42, 0, 0], [0, 0, 0]], [0, 0, 0, 0]]',1778590800000);
INSERT INTO "reservation" VALUES('res_YXBw.t2','app','held',1777986000000,50,'3742b12a0463676b10053d43b6dc9743','dec_2','','{"action":"","agent":"","attributes":{},"estimate":{"concurrency":1,"cost":0,"input_tokens":0,"output_tokens":0,"requests":1,"tokens":50},"feature":"","model":"","plugin":"","request_id":"","reserve":true,"session_id":"","subject":{"app_id":"app","tenant_id":"","user_id":"user"},"ttl_s":3600,"workflow":""}','[["monthly","tokens",1000,"billing_month",["app","user"],"enforce",0],["minute","tokens",500,"1m",["app","user"],"enforce",1],["ever","tokens",null,"lifetime",["app","user"],"enforce",2],["running","concurrency",9,"lifetime",["app","user"],"enforce",3]]','[[[42, 30, 1780272000000], [42, 30, 1777982461000], [42, 30, 0], [0, 1, 0]], [0, 0, 0, 0]]',1778590800000);
INSERT INTO "reservation" VALUES('res_YXBw.t3','app','committed',1777982460000,25,'7793b4be0caf00d9b643112ce67eb666','dec_3','','{"action":"","agent":"","attributes":{},"estimate":{"concurrency":1,"cost":0,"input_tokens":0,"output_tokens":0,"requests":1,"tokens":25},"feature":"","model":"","plugin":"","request_id":"","reserve":true,"session_id":"","subject":{"app_id":"app","tenant_id":"","user_id":"user"},"ttl_s":60,"workflow":""}','[["monthly","tokens",1000,"billing_month",["app","user"],"enforce",0],["minute","tokens",500,"1m",["app","user"],"enforce",1],["ever","tokens",null,"lifetime",["app","user"],"enforce",2],["running","concurrency",9,"lifetime",["app","user"],"enforce",3]]','[[[62, 60, 1780272000000], [62, 60, 1777982461000], [62, 60, 0], [0, 2, 0]], [0, 0, 0, 0]]',1778587200000);
INSERT INTO "reservation" VALUES('res_YXBw.t4','app','released',1777982460000,26,'be6630e9aa3fc7f59bb1e3c4f8d2376b','dec_4','','{"action":"","agent":"","attributes":{},"estimate":{"concurrency":1,"cost":0,"input_tokens":0,"output_tokens":0,"requests":1,"tokens":26},"feature":"","model":"","plugin":"","request_id":"","reserve":true,"session_id":"","subject":{"app_id":"app","tenant_id":"","user_id":"user"},"ttl_s":60,"workflow":""}','[["monthly","tokens",1000,"billing_month",["app","user"],"enforce",0],["minute","tokens",500,"1m",["app","user"],"enforce",1],["ever","tokens",null,"lifetime",["app","user"],"enforce",2],["running","concurrency",9,"lifetime",["app","user"],"enforce",3]]','[[[86, 60, 1780272000000], [86, 60, 1777982461000], [86, 60, 0], [0, 2, 0]], [0, 0, 0, 0]]',1778587200000);
INSERT INTO "reservation" VALUES('res_YXBw.t5','app','expired',1777982405000,27,'75f0cde6658ac085d76bfc3dbd19e0a9','dec_5','','{"action":"","agent":"","attributes":{},"estimate":{"concurrency":1,"cost":0,"input_tokens":0,"output_tokens":0,"requests":1,"tokens":27},"feature":"","model":"","plugin":"","request_id":"","reserve":true,"session_id":"","subject":{"app_id":"app","tenant_id":"","user_id":"user"},"ttl_s":5,"workflow":""}','[["monthly","tokens",1000,"billing_month",["app","user"],"enforce",0],["minute","tokens",500,"1m",["app","user"],"enforce",1],["ever","tokens",null,"lifetime",["app","user"],"enforce",2],["running","concurrency",9,"lifetime",["app","user"],"enforce",3]]','[[[86, 60, 1780272000000], [86, 60, 1777982461000], [86, 60, 0], [0, 2, 0]], [0, 0, 0, 0]]',1778587205000);
INSERT INTO "reservation" VALUES('res_YXBw.t6','app','held',1777986000000,15,'a476d95eefce3c83818ca15c09a3555d','dec_6','["dec_x", "[[\"monthly\",\"tokens\",1000,\"billing_month\",[\"app\",\"user\"],\"enforce\",0],[\"minute\",\"tokens\",500,\"1m\",[\"app\",\"user\"],\"enforce\",1],[\"ever\",\"tokens\",null,\"lifetime\",[\"app\",\"user\"],\"enforce\",2],[\"running\",\"concurrency\",9,\"lifetime\",[\"app\",\"user\"],\"enforce\",3]]", "[[[86, 97, 1780272000000], [86, 97, 1777982461000], [86, 97, 0], [0, 4, 0]], [0, 0, 0, 0]]"]','{"action":"","agent":"","attributes":{},"estimate":{"concurrency":1,"cost":0,"input_tokens":0,"output_tokens":0,"requests":1,"tokens":10},"feature":"","model":"","plugin":"","request_id":"","reserve":true,"session_id":"","subject":{"app_id":"app","tenant_id":"","user_id":"user"},"ttl_s":3600,"workflow":""}','[["monthly","tokens",1000,"billing_month",["app","user"],"enforce",0],["minute","tokens",500,"1m",["app","user"],"enforce",1],["ever","tokens",null,"lifetime",["app","user"],"enforce",2],["running","concurrency",9,"lifetime",["app","user"],"enforce",3]]','[[[86, 87, 1780272000000], [86, 87, 1777982461000], [86, 87, 0], [0, 3, 0]], [0, 0, 0, 0]]',1778590800000);
INSERT INTO "reservation" VALUES('res_YXBw.t7','app','held',1777982415000,28,'7c8c511618ae94432d65f476580861f9','dec_7','','{"action":"","agent":"","attributes":{},"estimate":{"concurrency":1,"cost":0,"input_tokens":0,"output_tokens":0,"requests":1,"tokens":28},"feature":"","model":"","plugin":"","request_id":"","reserve":true,"session_id":"","subject":{"app_id":"app","tenant_id":"","user_id":"user"},"ttl_s":5,"workflow":""}','[["monthly","tokens",1000,"billing_month",["app","user"],"enforce",0],["minute","tokens",500,"1m",["app","user"],"enforce",1],["ever","tokens",null,"lifetime",["app","user"],"enforce",2],["running","concurrency",9,"lifetime",["app","user"],"enforce",3]]','[[[86, 75, 1780272000000], [86, 75, 1777982461000], [86, 75, 0], [0, 3, 0]], [0, 0, 0, 0]]',1778587215000);
INSERT INTO "reservation" VALUES('res_b3RoZXI.t8','other','held',1777986010000,7,'d5160334cc4fde8597e6314872804095','dec_8','','{"action":"","agent":"","attributes":{},"estimate":{"concurrency":1,"cost":0,"input_tokens":0,"output_tokens":0,"requests":1,"tokens":7},"feature":"","model":"","plugin":"","request_id":"","reserve":true,"session_id":"","subject":{"app_id":"other","tenant_id":"","user_id":"user"},"ttl_s":3600,"workflow":""}','[["monthly","tokens",1000,"billing_month",["app","user"],"enforce",0],["minute","tokens",500,"1m",["app","user"],"enforce",1],["ever","tokens",null,"lifetime",["app","user"],"enforce",2],["running","concurrency",9,"lifetime",["app","user"],"enforce",3]]','[[[0, 0, 1780272000000], [0, 0, 0], [0, 0, 0], [0, 0, 0]], [0, 0, 0, 0]]',1778590810000);
CREATE TABLE subscription (
    app TEXT NOT NULL, user TEXT NOT NULL, document TEXT NOT NULL, PRIMARY KEY (app, user)
) WITHOUT ROWID;
INSERT INTO "subscription" VALUES('app','user','{"app_id":"app","billing_cycle":"","cancel_at_period_end":false,"event_id":"s-1","external_id":"","history":[["2026-05-05T12:00:10+00:00","none","pro","s-1"]],"metadata":{},"next_billing_date":null,"period_end":null,"period_start":null,"plan":"pro","status":"none","trial_end":null,"updated_at":"2026-05-05T12:00:10+00:00","user_id":"user"}');
CREATE INDEX counter_ends ON counter (ends_at);
CREATE INDEX reservation_expires ON reservation (expires_at) WHERE state = 'held';
CREATE INDEX reservation_forgotten ON reservation (forgotten_at);
CREATE INDEX entry_held ON entry (app, name, bucket, held) WHERE held > 0;
CREATE INDEX request_forgotten ON request (forgotten_at);
CREATE INDEX event_forgotten ON event (forgotten_at);
COMMIT;
