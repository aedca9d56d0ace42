//! `member` and `user`.

use super::nouns::roles;
use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub struct Member {
    #[command(subcommand)]
    pub verb: MemberVerb,
}

#[derive(Debug, Subcommand)]
pub enum MemberVerb {
    /// Who may do what in the project
    #[command(after_help = "Example:\n  mainstay member list --project shop")]
    List,
    /// Make a link that lets somebody in; it is shown this once
    #[command(after_help = "\
Whoever opens the link chooses a name and a password, or gives the password they have. Send it to
nobody else. A second invitation of the same address makes the first one useless.

Example:
  mainstay member invite ada@example.org --role operator")]
    Invite {
        /// The person's e-mail address
        email: String,
        /// What they may do: each role includes the ones before it
        #[arg(long, value_parser = roles())]
        role: String,
        /// Days the link is good for [default: 7]
        #[arg(long, value_name = "DAYS", allow_negative_numbers = true)]
        expires: Option<i64>,
    },
    /// Invitations that were not used yet
    #[command(after_help = "Example:\n  mainstay member invitations")]
    Invitations,
    /// Make an invitation's link useless
    #[command(after_help = "Example:\n  mainstay member withdraw ln_…")]
    Withdraw {
        /// The invitation's id
        invitation: String,
    },
    /// Make a user of this installation a member, without a link; for administrators
    #[command(after_help = "Example:\n  mainstay member add ada@example.org --role viewer")]
    Add {
        /// Name, e-mail address or id
        user: String,
        /// What they may do: each role includes the ones before it
        #[arg(long, value_parser = roles())]
        role: String,
    },
    /// Give a member another role
    #[command(after_help = "A project keeps at least one owner.\n\nExample:\n  mainstay member role ada@example.org admin")]
    Role {
        /// Name, e-mail address or id
        user: String,
        /// What they may do from now on
        #[arg(value_parser = roles())]
        role: String,
    },
    /// Take a member out of the project
    #[command(after_help = "\
Their tokens for the project are revoked. Who is left with no project is signed out.

Example:
  mainstay member remove ada@example.org")]
    Remove {
        /// Name, e-mail address or id
        user: String,
    },
}

#[derive(Debug, Args)]
pub struct User {
    #[command(subcommand)]
    pub verb: UserVerb,
}

#[derive(Debug, Args)]
pub struct OneUser {
    /// Name, e-mail address or id
    pub user: String,
}

#[derive(Debug, Subcommand)]
pub enum UserVerb {
    /// Everybody who can sign in to this installation
    #[command(after_help = "Example:\n  mainstay user list")]
    List,
    /// One user and their roles
    #[command(after_help = "Example:\n  mainstay user show ada@example.org")]
    Show(OneUser),
    /// Who this command line is, and what it may do
    #[command(after_help = "Example:\n  mainstay user me")]
    Me,
    /// Make somebody an administrator of the installation, or not
    #[command(after_help = "One administrator stays.\n\nExample:\n  mainstay user administrator ada on")]
    Administrator {
        /// Name, e-mail address or id
        user: String,
        #[arg(value_parser = ["on", "off"])]
        switch: String,
    },
    /// Let somebody in no more: sessions end, tokens stop working
    #[command(after_help = "Example:\n  mainstay user disable ada")]
    Disable(OneUser),
    /// Let somebody in again
    #[command(after_help = "Example:\n  mainstay user enable ada")]
    Enable(OneUser),
    /// Remove a user with sessions, memberships and tokens
    #[command(after_help = "Example:\n  mainstay user remove ada")]
    Remove(OneUser),
    /// Make a link that sets a new password; it is shown this once
    #[command(after_help = "The old password goes on until the link is used.\n\nExample:\n  mainstay user reset-password ada")]
    ResetPassword(OneUser),
    /// Make a new link for the first administrator, while there is nobody
    #[command(after_help = "The link that was printed before it opens nothing any more.\n\nExample:\n  mainstay user first-link")]
    FirstLink,
}
