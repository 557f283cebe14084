//! Routes: lines on the map, in and out, for whom the meeting point is shown; and files that want to do harm.

use macro_rules_attribute::apply;
use reqwest::Method;
use serde_json::{Value, json};

use super::bodies::gzip;
use crate::{
    harness::{Answer, Client, Person, Run, Town},
    support::database_test::database_test,
};

const GEOJSON: &str = "application/geo+json";
const GPX: &str = "application/gpx+xml";

fn line() -> Value {
    json!({ "type": "LineString", "coordinates": [[-0.3358, 51.411], [-0.33, 51.411], [-0.33, 51.415]] })
}

async fn puts(who: &Client, run: &Run, kind: &str, body: impl Into<reqwest::Body>) -> Answer {
    let request = who.request(Method::PUT, &format!("/v1{}", run.at("/route")));
    who.send(request.header("Content-Type", kind).body(body)).await
}

async fn gets(who: &Client, run: &Run, accept: &str) -> Answer {
    let request = who.request(Method::GET, &format!("/v1{}", run.at("/route")));
    who.send(request.header("Accept", accept)).await
}

#[apply(database_test!)]
async fn a_route_goes_in_as_geojson_and_comes_out_with_its_length(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |_| {}).await;
    town.nobody().get(&run.at("/route")).await.refused(404, "not_found");
    let feature = json!({ "type": "Feature", "id": "Ana's walk", "properties": { "name": "Ana", "time": "2026-01-01" },
        "geometry": { "type": "LineString", "coordinates": [[-0.3358, 51.411, 12.5], [-0.33, 51.411, 13], [-0.33, 51.415, 1]] } });
    let put = puts(&fay, &run, GEOJSON, feature.to_string()).await.expect(201);
    let got = town.nobody().get(&run.at("/route")).await.expect(200);
    assert_eq!(got.json, put.json);
    assert_eq!(got.header("content-type"), GEOJSON);
    assert_eq!((&got.json["type"], &got.json["geometry"]), (&json!("Feature"), &line()));
    let km = got.json["length_km"].as_f64().unwrap();
    assert!((0.83..0.87).contains(&km), "{km}");
    assert_eq!(got.json["properties"], json!({ "length_km": km }));
    assert!(!got.text.contains("Ana") && !got.text.contains("2026") && !got.text.contains("12.5"));
    // What came out goes in again.
    puts(&fay, &run, GEOJSON, got.text.clone()).await.expect(200);
    let both = json!({ "type": "FeatureCollection", "features": [feature, feature] }).to_string();
    let many = puts(&fay, &run, "application/json", both).await.expect(200);
    assert_eq!(many.json["geometry"]["type"], "MultiLineString");
    assert!((many.json["length_km"].as_f64().unwrap() - 2.0 * km).abs() < 0.02);
}

#[apply(database_test!)]
async fn a_route_that_does_not_pass_the_new_meeting_point_is_taken_away_and_all_are_told(town: Town) {
    let (fay, ana) = (town.facilitator("Fay").await, town.person("Ana").await);
    let run = town.run(&fay, |_| {}).await;
    puts(&fay, &run, GEOJSON, line().to_string()).await.expect(201);
    ana.joins(&run.id, "confirmed").await;
    town.post_office().await;
    let to = |lat: f64| json!({ "meeting_point": { "lat": lat, "lng": -0.335791, "name": "The Diana fountain" } });
    let moved = fay.patch(&run.at(""), Some(&run.etag), to(51.4115)).await.expect(200);
    town.nobody().get(&run.at("/route")).await.expect(200);
    let letter = town.one_mail_to(&ana.email).await;
    assert!(!letter.text.contains("The route"), "{}", letter.text);
    fay.patch(&run.at(""), Some(moved.header("etag")), to(51.4415)).await.expect(200);
    town.nobody().get(&run.at("/route")).await.refused(404, "not_found");
    let letter = town.one_mail_to(&ana.email).await;
    assert!(letter.text.contains("The route on the map was:"), "{}", letter.text);
    // Another goes in, and one that never came by the meeting point stays where it is.
    let far = json!({ "type": "LineString", "coordinates": [[-0.3358, 51.511], [-0.33, 51.511]] });
    puts(&fay, &run, GEOJSON, far.to_string()).await.expect(201);
    let etag = fay.get(&run.at("")).await.header("etag").to_owned();
    fay.patch(&run.at(""), Some(&etag), to(51.4425)).await.expect(200);
    town.nobody().get(&run.at("/route")).await.expect(200);
    town.post_office().await;
}

#[apply(database_test!)]
async fn a_gpx_file_leaves_its_times_names_and_heights_behind(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |_| {}).await;
    let gpx = r#"<?xml version="1.0" encoding="UTF-8"?>
        <gpx version="1.1" creator="Ana's watch" xmlns="http://www.topografix.com/GPX/1/1">
        <metadata><author><name>Ana Secret</name></author><time>2025-05-05T07:00:00Z</time></metadata>
        <wpt lat="51.5" lon="-0.1"><name>Ana's home</name></wpt>
        <trk><name>From home</name><trkseg>
        <trkpt lat="51.411" lon="-0.3358"><ele>12.25</ele><time>2025-05-05T07:00:00Z</time><extensions><hr>187</hr></extensions></trkpt>
        <trkpt lat="51.411" lon="-0.33"><time>2025-05-05T07:05:00Z</time></trkpt>
        <trkpt lat="51.415" lon="-0.33"/></trkseg></trk></gpx>"#;
    puts(&fay, &run, "application/gpx+xml; charset=utf-8", gpx).await.expect(201);
    for accept in [GEOJSON, GPX] {
        let got = gets(&town.nobody(), &run, accept).await.expect(200);
        for secret in ["Ana", "home", "2025", "12.25", "187", "51.5"] {
            assert!(!got.text.contains(secret), "{secret} in {}", got.text);
        }
    }
    assert_eq!(town.nobody().get(&run.at("/route")).await.json["geometry"], line());
    let kept = town.texts("SELECT geometry AS t FROM run_routes").remove(0);
    assert_eq!(serde_json::from_str::<Value>(&kept).unwrap(), line());
}

#[apply(database_test!)]
async fn it_comes_out_as_gpx_when_asked_for(town: Town) {
    let (fay, nobody) = (town.facilitator("Fay").await, town.nobody());
    let run = town.run(&fay, |_| {}).await;
    puts(&fay, &run, GEOJSON, line().to_string()).await.expect(201);
    let got = gets(&nobody, &run, GPX).await.expect(200);
    assert_eq!((got.header("content-type"), got.header("vary")), (GPX, "Accept"));
    assert!(got.text.starts_with("<?xml") && got.text.contains("<trkpt lat=\"51.411000\" lon=\"-0.335800\"/>"));
    puts(&fay, &run, GPX, got.text.clone()).await.expect(200);
    assert_eq!(nobody.get(&run.at("/route")).await.json["geometry"], line());
    for (accept, kind) in [
        ("*/*", GEOJSON),
        ("application/json", GEOJSON),
        ("application/geo+json, application/gpx+xml", GEOJSON),
        ("application/gpx+xml;q=0.9, application/geo+json;q=0.1", GPX),
        ("application/gpx+xml, */*;q=0.1", GPX),
        ("nonsense;q=x", GEOJSON),
    ] {
        assert_eq!(gets(&nobody, &run, accept).await.expect(200).header("content-type"), kind, "{accept}");
    }
}

#[apply(database_test!)]
async fn it_is_shown_exactly_as_the_meeting_point_is(town: Town) {
    let (fay, gil, mo) = (town.facilitator("Fay").await, town.facilitator("Gil").await, town.moderator("Mo").await);
    let (ana, ben) = (town.person("Ana").await, town.person("Ben").await);
    let run = town
        .run(&fay, |run| {
            run["capacity"] = json!(1);
            run["meeting_point_public"] = json!(false);
        })
        .await;
    puts(&fay, &run, GEOJSON, line().to_string()).await.expect(201);
    let seat = ana.joins(&run.id, "confirmed").await;
    ben.joins(&run.id, "waitlisted").await;
    let sees = async |who: &Client| {
        let point = who.get(&run.at("")).await.expect(200).json.get("meeting_point").is_some();
        let route = who.get(&run.at("/route")).await;
        assert_eq!(route.status == 200, point, "the one as the other: {}", route.text);
        point
    };
    assert!(sees(&fay).await && sees(&ana).await);
    for outside in [&*ben, &*gil, &*mo, &town.nobody()] {
        assert!(!sees(outside).await);
        let other = town.run(&fay, |run| run["meeting_point_public"] = json!(false)).await;
        let (hidden, none) = (outside.get(&run.at("/route")).await, outside.get(&other.at("/route")).await);
        assert_eq!(hidden.refused(404, "not_found").text, none.text, "as if there were none");
    }
    ana.withdraws(&seat).await;
    assert!(!sees(&ana).await);
    town.work().await;
    assert!(sees(&ben).await, "whoever is offered the place sees it");
    let draft = town.run(&fay, |run| run["draft"] = json!(true)).await;
    puts(&fay, &draft, GEOJSON, line().to_string()).await.expect(201);
    town.nobody().get(&draft.at("/route")).await.refused(404, "not_found");
    fay.get(&draft.at("/route")).await.expect(200);
}

#[apply(database_test!)]
async fn only_those_who_lead_the_run_change_it(town: Town) {
    let (fay, gil, ana) = (town.facilitator("Fay").await, town.facilitator("Gil").await, town.person("Ana").await);
    let run = town.run(&fay, |_| {}).await;
    ana.joins(&run.id, "confirmed").await;
    let body = line().to_string();
    puts(&town.nobody(), &run, GEOJSON, body.clone()).await.refused(401, "not_logged_in");
    let admin = town.admin().await;
    for other in [&gil, &ana, &admin] {
        puts(other, &run, GEOJSON, body.clone()).await.refused(404, "not_found");
        puts(other, &run, "text/plain", "x").await.refused(404, "not_found");
        other.delete(&run.at("/route")).await.refused(404, "not_found");
    }
    let back_marker = async |person: &Person| {
        let body = json!({ "account_id": person.id, "role": "back_marker" });
        fay.post(&run.at("/facilitators"), body).await.expect(201);
        person.post(&run.at("/facilitators"), json!({ "account_id": person.id })).await.expect(200);
    };
    back_marker(&gil).await;
    puts(&gil, &run, GEOJSON, body).await.refused(403, "leaders_only");
    assert_eq!(town.rows("run_routes"), 0);
    town.work().await;
}

#[apply(database_test!)]
async fn another_route_takes_its_place_and_it_can_be_taken_away(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |_| {}).await;
    puts(&fay, &run, GEOJSON, line().to_string()).await.expect(201);
    let other = json!({ "type": "LineString", "coordinates": [[-0.33, 51.41], [-0.33, 51.42]] });
    puts(&fay, &run, GEOJSON, other.to_string()).await.expect(200);
    assert_eq!(fay.get(&run.at("/route")).await.json["geometry"], other);
    assert_eq!(town.rows("run_routes"), 1);
    let version = fay.get(&run.at("")).await.header("etag").to_owned();
    assert_eq!(version, run.etag, "a route is no edit of the run");
    fay.delete(&run.at("/route")).await.expect(204);
    fay.delete(&run.at("/route")).await.expect(204);
    fay.get(&run.at("/route")).await.refused(404, "not_found");
}

#[apply(database_test!)]
async fn bombs_are_refused_and_nothing_is_kept(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |_| {}).await;
    let mut laughs = String::from("<?xml version=\"1.0\"?>\n<!DOCTYPE gpx [<!ENTITY l0 \"ha\">");
    for at in 1..10 {
        laughs.push_str(&format!("<!ENTITY l{at} \"{}\">", format!("&l{};", at - 1).repeat(10)));
    }
    laughs.push_str("]><gpx version=\"1.1\" creator=\"&l9;\"><trk><name>&l9;</name></trk></gpx>");
    puts(&fay, &run, GPX, laughs).await.faulty(&["/coordinates doctype"]);
    let file = "<!DOCTYPE gpx [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><gpx><name>&x;</name></gpx>";
    puts(&fay, &run, GPX, file).await.faulty(&["/coordinates doctype"]);
    let deep = format!("<gpx version=\"1.1\" creator=\"x\">{}", "<extensions>".repeat(80_000));
    puts(&fay, &run, GPX, deep).await.faulty(&["/coordinates too_deep"]);
    puts(&fay, &run, GEOJSON, "[".repeat(1_000_000)).await.faulty(&["/coordinates not_geojson"]);
    let deep = r#"{"type":"GeometryCollection","geometries":["#.repeat(20_000);
    puts(&fay, &run, GEOJSON, deep).await.faulty(&["/coordinates not_geojson"]);
    let attributes: String = (0..60_000).map(|at| format!(" a{at}=\"\"")).collect();
    let answer = puts(&fay, &run, GPX, format!("<gpx version=\"1.1\"{attributes}></gpx>")).await;
    assert_eq!(answer.status, 422, "{}", answer.text);
    let many: Vec<Value> = (0..=100_000).map(|at| json!([-0.33, 51.4 + f64::from(at) / 1e6])).collect();
    let many = json!({ "type": "LineString", "coordinates": many }).to_string();
    puts(&fay, &run, GEOJSON, many).await.faulty(&["/coordinates too_many_points"]);
    assert_eq!(town.rows("run_routes"), 0);
}

#[apply(database_test!)]
async fn what_is_no_route_from_here_is_refused_by_name(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |_| {}).await;
    let geojson = |coordinates: &str| format!(r#"{{"type":"LineString","coordinates":{coordinates}}}"#);
    for (body, code) in [
        (geojson("[[NaN,51.4],[0,51.4]]"), "not_geojson"),
        (geojson("[[1e999,51.4],[0,51.4]]"), "not_geojson"),
        (geojson("[[null,51.4],[0,51.4]]"), "not_geojson"),
        (geojson("[[0,91],[0,51.4]]"), "out_of_range"),
        (geojson("[[-181,51.4],[0,51.4]]"), "out_of_range"),
        (geojson("[]"), "no_line"),
        (geojson("[[-0.33,51.41]]"), "no_line"),
        (geojson("[[-0.33,51.41],[-0.33,51.41]]"), "no_line"),
        (r#"{"type":"Point","coordinates":[0,51.4]}"#.to_owned(), "no_line"),
        (geojson("[[540,51.4],[540.01,51.4]]"), "out_of_range"),
        (geojson("[[1286000,6130000],[1286001,6130000]]"), "out_of_range"),
        (
            r#"{"crs":{"properties":{"name":"EPSG:3857"}},"type":"LineString","coordinates":[[0,1],[0,2]]}"#.to_owned(),
            "not_wgs84",
        ),
        (r#"{"type":"Topology","arcs":[]}"#.to_owned(), "not_geojson"),
        // A thousand kilometres away, and with both numbers swapped.
        (geojson("[[-0.33,51.41],[-0.33,42.4]]"), "far_away"),
        (geojson("[[51.41,-0.33],[51.42,-0.33]]"), "far_away"),
        ("{}".to_owned(), "not_geojson"),
        (String::new(), "not_geojson"),
    ] {
        puts(&fay, &run, GEOJSON, body).await.faulty(&[&format!("/coordinates {code}")]);
    }
    let there_and_back: Vec<Value> = (0..40).map(|at| json!([-0.33, if at % 2 == 0 { 51.4 } else { 51.5 }])).collect();
    let long = json!({ "type": "LineString", "coordinates": there_and_back }).to_string();
    puts(&fay, &run, GEOJSON, long).await.faulty(&["/coordinates too_long"]);
    let gpx = |points: &str| {
        format!(
            r#"<gpx version="1.1" creator="x" xmlns="http://www.topografix.com/GPX/1/1"><trk><trkseg>{points}</trkseg></trk></gpx>"#
        )
    };
    for (body, code) in [
        (gpx(""), "no_line"),
        (gpx(r#"<trkpt lat="51.41" lon="-0.33"/>"#), "no_line"),
        (gpx(r#"<trkpt lat="NaN" lon="-0.33"/>"#), "not_gpx"),
        (gpx(r#"<trkpt lat="51,41" lon="-0.33"/>"#), "not_gpx"),
        (gpx(r#"<trkpt lat="91" lon="-0.33"/>"#), "out_of_range"),
        ("<TrainingCenterDatabase/>".to_owned(), "not_gpx"),
        (gpx(r#"<trkpt lat="41.41" lon="-0.33"/><trkpt lat="41.42" lon="-0.33"/>"#), "far_away"),
        ("<html></html>".to_owned(), "not_gpx"),
        ("{}".to_owned(), "not_gpx"),
        ("<gpx version=\"1.1\">".to_owned(), "not_gpx"),
    ] {
        puts(&fay, &run, GPX, body).await.faulty(&[&format!("/coordinates {code}")]);
    }
    puts(&fay, &run, GPX, vec![0xff_u8, 0xfe, 0x3c, 0x00]).await.faulty(&["/coordinates not_gpx"]);
    assert_eq!(town.rows("run_routes"), 0);
}

#[apply(database_test!)]
async fn eight_megabytes_are_enough_packed_or_not(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |_| {}).await;
    let padded = |bytes: usize| {
        let text = line().to_string();
        text.clone() + &" ".repeat(bytes - text.len())
    };
    let limit = 8 * 1024 * 1024;
    puts(&fay, &run, GEOJSON, padded(limit)).await.expect(201);
    puts(&fay, &run, GEOJSON, padded(limit + 1)).await.refused(413, "payload_too_large");
    puts(&fay, &run, GEOJSON, gzip(padded(limit).as_bytes())).await.expect(200);
    puts(&fay, &run, GEOJSON, gzip(padded(limit + 1).as_bytes())).await.refused(413, "payload_too_large");
    let points: Vec<Value> = (0..20_000).map(|at| json!([-0.33, 51.4 + f64::from(at) / 1e5])).collect();
    let body = json!({ "type": "LineString", "coordinates": points }).to_string();
    let put = puts(&fay, &run, GEOJSON, body).await.expect(200);
    assert!((22.0..22.5).contains(&put.json["length_km"].as_f64().unwrap()), "{}", put.json["length_km"]);
}

/// Hours at one point a second along a wavy way from the meeting point, with heart rates, as a watch writes them.
fn recorded(seconds: u32) -> String {
    let point = |at: u32| {
        let (lat, lng) = (51.411 + f64::from(at) * 4e-6, -0.3358 + (f64::from(at) / 300.0).sin() * 0.01);
        let (minute, second) = (at / 60 % 60, at % 60);
        format!(
            "<trkpt lat=\"{lat:.7}\" lon=\"{lng:.7}\"><ele>12.2</ele><time>2025-05-05T07:{minute:02}:{second:02}.000Z</time>\n\
             <extensions><ns3:TrackPointExtension><ns3:atemp>21.0</ns3:atemp><ns3:hr>150</ns3:hr><ns3:cad>82</ns3:cad>\
             </ns3:TrackPointExtension></extensions><speed>2.5</speed><course>77</course></trkpt>\n"
        )
    };
    let points: String = (0..seconds).map(point).collect();
    format!(
        "\n<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>\n<gpx creator=\"a watch\"><trk><name>null</name><trkseg>{points}</trkseg></trk></gpx>"
    )
}

#[apply(database_test!)]
async fn hours_of_a_watch_go_in_packed_or_not(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |_| {}).await;
    let hour = recorded(3600);
    assert!(hour.len() > 900_000, "{}", hour.len());
    let put = puts(&fay, &run, GPX, hour.clone()).await.expect(201);
    assert_eq!(put.json["geometry"]["coordinates"].as_array().unwrap().len(), 3600);
    for kind in [GPX, "application/gzip", "application/x-gzip"] {
        assert_eq!(puts(&fay, &run, kind, gzip(hour.as_bytes())).await.expect(200).json, put.json, "{kind}");
    }
    let request = fay.request(Method::PUT, &format!("/v1{}", run.at("/route"))).header("Content-Type", GPX);
    let encoded = fay.send(request.header("Content-Encoding", "gzip").body(gzip(hour.as_bytes()))).await.expect(200);
    assert_eq!(encoded.json, put.json);
    // More points than are kept: some are left out and the way stays as long.
    let long = recorded(25_000);
    let put = puts(&fay, &run, GPX, gzip(long.as_bytes())).await.expect(200);
    let kept = put.json["geometry"]["coordinates"].as_array().unwrap().len();
    assert!((5_000..=20_000).contains(&kept), "{kept}");
    assert_eq!(fay.get(&run.at("/route")).await.json["geometry"], put.json["geometry"]);
}

#[apply(database_test!)]
async fn swapped_coordinates_are_named(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |_| {}).await;
    let geojson = r#"{"type":"LineString","coordinates":[[51.411,-0.3358],[51.412,-0.3358]]}"#;
    let gpx = r#"<gpx><rte><rtept lon="51.411" lat="-0.3358"/><rtept lon="51.412" lat="-0.3358"/></rte></gpx>"#;
    for (kind, body) in [(GEOJSON, geojson), (GPX, gpx)] {
        let answer = puts(&fay, &run, kind, body).await;
        assert!(answer.text.contains("likely swapped"), "{}", answer.text);
        answer.faulty(&["/coordinates far_away"]);
    }
}

#[apply(database_test!)]
async fn a_polygon_and_a_collection_go_in_as_lines(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |_| {}).await;
    let ring = json!([[-0.3358, 51.411], [-0.33, 51.411], [-0.33, 51.415], [-0.3358, 51.411]]);
    let polygon = json!({ "type": "Polygon", "coordinates": [ring] });
    let put = puts(&fay, &run, GEOJSON, polygon.to_string()).await.expect(201);
    assert_eq!(put.json["geometry"], json!({ "type": "LineString", "coordinates": ring }));
    let place = json!({ "type": "Point", "coordinates": [-0.3358, 51.411] });
    let collection = json!({ "type": "GeometryCollection", "geometries": [place, polygon, line()] });
    let put = puts(&fay, &run, GEOJSON, collection.to_string()).await.expect(200);
    assert_eq!(put.json["geometry"], line());
}

#[apply(database_test!)]
async fn other_kinds_of_files_are_not_taken(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |_| {}).await;
    for kind in ["text/plain", "application/vnd.google-earth.kml+xml", "text/xml", "multipart/form-data", ""] {
        puts(&fay, &run, kind, line().to_string()).await.refused(415, "unsupported_media_type");
    }
    let answer = puts(&fay, &run, "application/vnd.google-earth.kml+xml", "<kml/>").await;
    assert!(answer.text.contains("GeoJSON or GPX"), "{}", answer.text);
    // A file that is said to be packed and is not whole.
    puts(&fay, &run, GPX, vec![0x1f_u8, 0x8b, 0x08]).await.refused(400, "bad_request");
}

#[apply(database_test!)]
async fn a_run_that_is_off_keeps_what_it_had(town: Town) {
    let fay = town.facilitator("Fay").await;
    let run = town.run(&fay, |_| {}).await;
    puts(&fay, &run, GEOJSON, line().to_string()).await.expect(201);
    fay.post(&run.at("/cancel"), json!({ "reason_code": "weather" })).await.expect(200);
    puts(&fay, &run, GEOJSON, line().to_string()).await.refused(409, "run_cancelled");
    fay.delete(&run.at("/route")).await.refused(409, "run_cancelled");
    town.nobody().get(&run.at("/route")).await.expect(200);
    town.work().await;
}
