//! The route table, on one page. The paths under `/v1` stand beside their handlers, the others in [`OUTSIDE`].

use std::sync::OnceLock;

use actix_web::{
    http::Method,
    web::{self, ServiceConfig},
};
use utoipa::{
    OpenApi,
    openapi::{
        ContentBuilder, HeaderBuilder, ObjectBuilder, Ref, RefOr, Required, ResponseBuilder, Type,
        path::{HttpMethod, Operation, Parameter, ParameterBuilder, ParameterIn},
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};
use utoipa_actix_web::{scope, service_config::ServiceConfig as DocumentedConfig};

use super::{
    accounts, after_run, announcements, appeals, blocks, day, facilitators, friends, help, home, links, match_requests,
    matches, me, moderation, paging, paths::Route, problem, roster, run_routes, runs, sanctions, series, sessions,
    signups, status,
};
use crate::error::Result;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Side by Side",
        description = "Facilitator-led group runs, matched by the pace at which people can chat, and by place. \
                       Not therapy, not an emergency service.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    components(schemas(
        problem::ProblemDocument,
        runs::RunQuery,
        matches::MatchQuery,
        paging::PageQuery,
        facilitators::ApplicationQuery,
        moderation::ReportQuery,
        moderation::AuditQuery,
        accounts::AccountQuery,
        series::FromQuery,
    ))
)]
struct Head;

/// Adds every documented route to `$scope`: one list for the server, which mounts plain services, and for the
/// description, which collects what each handler says about itself.
macro_rules! with_all_routes {
    ($scope:expr) => {
        $scope
            // Routes are tried in this order: first what is asked most.
            .service(matches::matches)
            .service(runs::list_runs)
            .service(help::help)
            .service(help::vocabulary)
            // Accounts and sessions
            .service(accounts::register)
            .service(accounts::verify_email)
            .service(accounts::resend_verification)
            .service(accounts::accept_invitation)
            .service(accounts::request_reset)
            .service(accounts::confirm_reset)
            .service(accounts::look_up)
            .service(accounts::grant_role)
            .service(accounts::revoke_role)
            .service(sessions::log_in)
            .service(sessions::refresh)
            .service(sessions::list)
            .service(sessions::end_current)
            .service(sessions::end)
            // Me
            .service(me::get_me)
            .service(me::edit_me)
            .service(me::change_password)
            .service(me::get_profile)
            .service(me::put_profile)
            .service(me::get_email_preferences)
            .service(me::put_email_preferences)
            .service(appeals::my_decisions)
            .service(day::own::get_contact)
            .service(day::own::put_contact)
            .service(day::own::delete_contact)
            .service(day::own::history)
            .service(signups::my_signups)
            .service(facilitators::set_bar)
            .service(facilitators::list_bars)
            .service(facilitators::lift_bar)
            // Facilitators
            .service(facilitators::apply)
            .service(facilitators::list_applications)
            .service(facilitators::approve)
            .service(facilitators::reject)
            .service(runs::get_facilitator)
            // Runs, matches, sign-ups
            .service(runs::post_run)
            .service(runs::get_run)
            .service(runs::edit_run)
            .service(runs::cancel_run)
            .service(runs::list_facilitator)
            .service(runs::unlist_facilitator)
            .service(runs::take_over)
            .service(runs::close_run)
            .service(runs::lead_one)
            .service(announcements::announce)
            .service(announcements::list_announcements)
            .service(run_routes::get_route)
            .service(run_routes::put_route)
            .service(run_routes::delete_route)
            .service(series::post_series)
            .service(series::my_series)
            .service(series::get_series)
            .service(series::edit_series)
            .service(series::end_series)
            .service(series::become_regular)
            .service(series::stop_coming)
            .service(match_requests::make_match_request)
            .service(match_requests::list_match_requests)
            .service(match_requests::take_match_request_back)
            .service(signups::sign_up)
            .service(roster::roster)
            .service(signups::get_signup)
            .service(signups::share_needs)
            .service(signups::withdraw)
            .service(signups::accept)
            .service(signups::decline_offer)
            .service(signups::reconfirm)
            .service(roster::approve)
            .service(roster::decline)
            .service(roster::remove)
            .service(after_run::after_run)
            .service(friends::keep_place)
            .service(friends::give_back_place)
            .service(friends::look)
            // The day itself
            .service(day::check_in)
            .service(day::check_in_all)
            .service(day::sign_out)
            .service(day::sign_out_all)
            .service(day::no_show)
            .service(day::undo)
            .service(day::own::was_there)
            .service(day::look_at_contact)
            .service(day::reveal_needs)
            .service(day::people::walk_in)
            .service(day::people::sign_guest_out)
            .service(day::people::remove_guest)
            .service(day::people::look_at_guest)
            .service(day::people::pairs)
            .service(day::people::choose_pairs)
            .service(day::team::report_incident)
            .service(day::team::list_incidents)
            .service(day::team::get_incident)
            .service(day::team::open_sealed)
            // Safety
            .service(blocks::make_block)
            .service(blocks::list_blocks)
            .service(blocks::take_block_back)
            .service(blocks::block_tasks)
            .service(blocks::block_task)
            .service(blocks::resolve_block)
            .service(blocks::dismiss_block)
            .service(after_run::care_queue)
            .service(after_run::take_care)
            .service(after_run::care_done)
            .service(moderation::file_report)
            .service(moderation::queue)
            .service(moderation::get_report)
            .service(moderation::assign)
            .service(moderation::resolve)
            .service(sanctions::get_sanction)
            .service(sanctions::impose)
            .service(sanctions::lift)
            .service(appeals::file_appeal)
            .service(appeals::list_appeals)
            .service(appeals::decide_appeal)
            .service(moderation::read_audit_log)
    };
}

/// Mounts every documented route.
pub fn routes(config: &mut ServiceConfig) {
    config.service(with_all_routes!(web::scope("/v1")));
}

/// The pages of the documentation, which bring a service of their own.
pub(super) const DOCS: &str = "/docs/{_:.*}";

/// Makes the routes outside `/v1` and the list of them from one table of methods, paths and handlers.
macro_rules! routes_outside {
    ($($method:ident $verb:ident $path:literal $handler:path;)*) => {
        /// Mounts what is outside `/v1`: health, pages for people, and the description of the API.
        pub fn pages_and_health(config: &mut ServiceConfig) {
            $(config.route($path, web::$method().to($handler));)*
        }

        const OUTSIDE: &[(Method, &str)] = &[$((Method::$verb, $path)),*];
    };
}

routes_outside! {
    get GET "/healthz" status::healthz;
    get GET "/readyz" status::readyz;
    get GET "/" home::home;
    get GET "/favicon.ico" home::favicon;
    get GET "/robots.txt" home::robots;
    get GET "/problems" home::problem_index;
    get GET "/problems/{code}" home::problem_page;
    get GET "/openapi.json" status::openapi;
    get GET "/docs" home::docs;
    get GET "/e/{action}/{token}" links::show;
    post POST "/e/{action}/{token}" links::act;
}

/// Collects the path and the methods of each handler of [`with_all_routes`].
#[derive(Default)]
struct Collector(Vec<Route>);

impl Collector {
    fn service<H: utoipa::Path>(mut self, _: H) -> Self {
        let methods = H::methods().into_iter().filter_map(|method| method_of(&method));
        self.0.extend(methods.map(|method| Route { pattern: format!("/v1{}", H::path()), method }));
        self
    }
}

fn method_of(method: &HttpMethod) -> Option<Method> {
    match method {
        HttpMethod::Get => Some(Method::GET),
        HttpMethod::Post => Some(Method::POST),
        HttpMethod::Put => Some(Method::PUT),
        HttpMethod::Patch => Some(Method::PATCH),
        HttpMethod::Delete => Some(Method::DELETE),
        HttpMethod::Options | HttpMethod::Head | HttpMethod::Trace => None,
    }
}

/// Every route of the server: pattern and method.
pub(super) fn list() -> Vec<Route> {
    let Collector(mut routes) = with_all_routes!(Collector::default());
    let outside = OUTSIDE.iter().cloned().chain([(Method::GET, DOCS)]);
    routes.extend(outside.map(|(method, pattern)| Route { pattern: pattern.to_owned(), method }));
    routes
}

fn documented(config: &mut DocumentedConfig<'_>) {
    config.service(with_all_routes!(scope("/v1")));
}

/// The description of the API as JSON text, made when it is first read and kept for the life of the process.
///
/// # Errors
/// `Internal` when it cannot be written as JSON.
pub fn api_json() -> Result<&'static str> {
    static TEXT: OnceLock<String> = OnceLock::new();
    match TEXT.get() {
        Some(text) => Ok(text),
        None => {
            let text = serde_json::to_string(&api_doc())?;
            Ok(TEXT.get_or_init(|| text))
        }
    }
}

/// The description of the API, from the handlers themselves.
pub fn api_doc() -> utoipa::openapi::OpenApi {
    let (_, mut doc) = {
        use utoipa_actix_web::AppExt;
        actix_web::App::new().into_utoipa_app().openapi(Head::openapi()).configure(documented).split_for_parts()
    };
    for (path, item) in &mut doc.paths.paths {
        if let Some(post) = item.post.as_mut().filter(|_| takes_a_key(path)) {
            say_key(post);
        }
        let all = [&mut item.get, &mut item.post, &mut item.put, &mut item.patch, &mut item.delete];
        all.into_iter().flatten().for_each(say_problems);
    }
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("From POST /v1/sessions")).build();
    doc.components
        .get_or_insert_with(Default::default)
        .security_schemes
        .insert("token".to_owned(), SecurityScheme::Http(bearer).into());
    doc
}

/// Whether `Idempotency-Key` is honoured: on what is done once logged in, and not on looks, each of which counts by itself.
fn takes_a_key(path: &str) -> bool {
    let is_a_look =
        path.ends_with("/emergency-contact") || path.ends_with("/access-needs") || path.contains("/sealed-rosters/");
    !is_a_look && !path.starts_with("/v1/sessions")
}

/// Says that an act may come twice under one key.
fn say_key(operation: &mut Operation) {
    let is_known =
        |parameter: &RefOr<Parameter>| matches!(parameter, RefOr::T(known) if known.name == "Idempotency-Key");
    let parameters = operation.parameters.get_or_insert_with(Vec::new);
    if operation.security.is_some() && !parameters.iter().any(is_known) {
        let word = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(255));
        let key = ParameterBuilder::new()
            .name("Idempotency-Key")
            .parameter_in(ParameterIn::Header)
            .required(Required::False)
            .description(Some("The same request under the same key is done once and answered the same for a day"))
            .schema(Some(word))
            .build();
        parameters.push(key.into());
    }
}

/// What every operation may answer besides its own, and the media type of all problems, said in one place.
fn say_problems(operation: &mut Operation) {
    const ALWAYS: [(&str, &str); 4] = [
        ("400", "Not readable"),
        ("422", "Bad values, all faults at once"),
        ("429", "Too many requests"),
        ("503", "Not available now"),
    ];
    const WITH_BODY: [(&str, &str); 3] = [("408", "Sent too slowly"), ("413", "Too large"), ("415", "Not JSON")];
    const LOGGED_IN: [(&str, &str); 3] =
        [("401", "Not logged in"), ("403", "Not allowed"), ("409", "Refused by a rule")];
    let with_body = operation.request_body.as_ref().map_or(&[][..], |_| &WITH_BODY[..]);
    let logged_in = operation.security.as_ref().map_or(&[][..], |_| &LOGGED_IN[..]);
    let responses = &mut operation.responses.responses;
    for (status, words) in ALWAYS.iter().chain(with_body).chain(logged_in) {
        responses
            .entry((*status).to_owned())
            .or_insert_with(|| ResponseBuilder::new().description(*words).build().into());
    }
    if let Some(RefOr::T(created)) = responses.get_mut("201") {
        let address = ObjectBuilder::new().schema_type(Type::String);
        let header = HeaderBuilder::new().schema(Some(address)).description(Some("Where the new thing is")).build();
        created.headers.insert("Location".to_owned(), header.into());
    }
    for (status, response) in responses.iter_mut() {
        if let (true, RefOr::T(response)) = (status.starts_with(['4', '5']), response) {
            let schema = Ref::from_schema_name("ProblemDocument");
            response.content.clear();
            let content = ContentBuilder::new().schema(Some(schema)).build();
            response.content.insert("application/problem+json".to_owned(), content.into());
            if matches!(status.as_str(), "429" | "503") {
                let seconds = HeaderBuilder::new()
                    .schema(Some(ObjectBuilder::new().schema_type(Type::Integer)))
                    .description(Some("Seconds until it is worth trying again"))
                    .build();
                response.headers.insert("Retry-After".to_owned(), seconds.into());
            }
        }
    }
}
