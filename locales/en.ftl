# What the pages and the mail of the gate say in English. A file of the same name in the directory that
# `[web.public] templates` names says it otherwise; a new name adds a language. No markup: it would be shown as text.

## On several pages

unsubscribe-title = Unsubscribe
left-title = You are unsubscribed
done-heading = Done
leave-everything = No more advertising from { $sender } at all
service-goes-on = You will still receive what you ask for yourself: orders, invoices, passwords.
on-its-way = A message already on its way may still arrive. You can close this page.
contacts-intro = To reach the sender:
contacts-privacy = your data

## A link from a message

ask-heading = Stop receiving these messages?
ask-intro = This link was in a message from { $sender } addressed to you. Nothing changes until you choose below.
ask-about = The message was about:
ask-leave-topics = Unsubscribe me from these topics
ask-again = You signed up again on { $day }, after this message was sent. Do you want to leave that too?
ask-not-mine-intro = You never gave { $sender } this address?
ask-not-mine = This is not my address

## What was left

done-everything = You will receive no more advertising from { $sender }.
done-topics = You will receive no more messages from { $sender } about:
done-address = The message was addressed to { $address }.
done-not-mine = { $sender } learns that this address is not that of its customer. Until that is put right, messages about orders or bills may still arrive.
done-preferences = Choose what you receive and how often

## A link that names nobody

no-link-heading = This link does not work
no-link-text = It may be incomplete: nothing has changed. Open it from the original message, or use the “Unsubscribe” button of your mail program. If that does not help, write to the sender, who has to honour your wish.

## A store that does not answer

unavailable-title = Try again in a few minutes
unavailable-heading = Your wish has not been recorded yet
unavailable-text = The service is unavailable for a moment. Please try the same link again in a few minutes: it stays valid.

## The fixed address

me-heading = Stop receiving advertising
me-intro = This link does not say who you are. Enter the address that receives these messages: a code is sent there, and then you choose what to leave.
me-address = Your e-mail address
me-send-code = Send me a code
me-button-too = The “Unsubscribe” button that your mail program shows above the message works too, without a code.
me-problem-no-address = This is no address: write it like “name@example.org”.
me-problem-too-often = Too many codes have been asked for. Use the last one you received, or try again later.
me-problem-not-sent = The code could not be sent and nothing has changed. Try again in a few minutes, or write to the sender.
me-problem-wrong-code = This is not the code. Attempts left: { $attempts }.
me-problem-code-is-over = This code is no longer valid and nothing has changed. Ask for a new one.
me-problem-nothing-chosen = Tick at least one box: nothing has changed.
me-code-title = Your code
me-code-heading = Enter the code you received
me-code-intro = If the address exists, a message with a six-digit code arrives there within minutes. It is valid for 15 minutes. Nothing has changed so far.
me-code = Six-digit code
me-code-go-on = Continue
me-code-none = Nothing received? Check the address and ask for another code.
me-choice-heading = What do you want to leave?
me-choice-intro = Nothing changes until you choose one of the buttons below.
me-choice-everything = All advertising from { $sender }
me-choice-already-left = { $label } (already left)
me-choice-leave = Leave what is ticked
me-choice-leave-all = Leave everything
me-left-intro = You will no longer receive:
me-left-everything = any advertising from { $sender }
me-left-topic = { $topic } – { $sender }

## The mail that carries a code

code-subject = Your unsubscribe code
code-text =
    Hello,

    your unsubscribe code:

        { $code }

    Enter it within 15 minutes on the page where you asked for it:
    { $page }

    You did not ask for anything? Then there is nothing to do: without this code
    nothing changes. Do not pass it on to anybody.

## The way back, for whose message was forwarded

back-title = Undo the unsubscription
back-heading = Was it not you?
back-intro = On { $day } a link in a message to { $address } was used to unsubscribe from { $sender }. If that was not you, you can take it back:
back-button = Take the unsubscription back
back-no-more = Then everything is as it was before, and no more than that. If you did want to leave, there is nothing to do.
back-done = The unsubscription from { $sender } is taken back. Everything is as it was before.
back-mail-subject = You were unsubscribed from { $sender }
back-mail-text =
    Hello,

    a link in a message to you was used to unsubscribe you from { $sender }.
    If that was you, there is nothing to do.

    If you had passed the message on and somebody else used the link, you can take
    it back within 30 days:
    { $link }

## Signing up

subscribe-title = Messages from { $sender }
subscribe-heading = Messages from { $sender }
subscribe-text-boxes = I would like to receive by e-mail from { $sender }:
subscribe-text-yes-no = Would you like to receive by e-mail from { $sender }:
subscribe-text-refusal-box = I do not want to receive from { $sender } e-mail about products similar to those I have bought.
subscribe-text-partner-box = I agree to receive e-mail from the partners of { $sender } about:
subscribe-partners = The partners are: { $names }.
subscribe-yes = Yes
subscribe-no = No
subscribe-address = Your e-mail address
subscribe-trap = Leave this field empty
subscribe-send = Send
subscribe-info-who = { $sender } asks for your address and keeps your answer as proof of it.
subscribe-info-purpose = You will get what you agree to here and nothing else; you need not agree to anything.
subscribe-info-partners = Your address goes to the partners named here if you agree, and to nobody else; you need not agree.
subscribe-info-similar = Once you have bought something, { $sender } may write to you about similar products, unless you refuse here or later.
subscribe-info-stop = You can stop at any time, free of charge: by the link in every message, or by writing to { $contact }.
subscribe-info-privacy = What is done with your data
subscribe-problem-no-address = This is no address: write it like “name@example.org”. Nothing has been recorded.
subscribe-problem-open = Answer each question with yes or no. Nothing has been recorded.
subscribe-problem-foreign = The form was not understood. Nothing has been recorded: please fill it in once more.
subscribe-problem-too-fast = Please look at your answer and send it once more. Nothing has been recorded.
subscribe-problem-stale = This page was open for a long time. Please look at your answer and send it once more.
subscribe-problem-changed = The form says something new since you opened it. Please read it and send your answer once more.
subscribe-problem-too-often = Too many forms have been sent from your network. Nothing has been recorded: try again later.
subscribe-problem-elsewhere = The form was sent from a page that may not show it. Nothing has been recorded: please fill it in here.
subscribe-problem-unreadable = The form was not understood. Nothing has been recorded: please fill it in once more.
subscribe-problem-not-recorded = The service is unavailable for a moment. Nothing is lost if you send the form again in a few minutes.
subscribed-mail-heading = Look into your mailbox
subscribed-mail-text = If the address exists, a message with a question arrives there within minutes. Only once you have answered it will you receive anything. You can close this page.
subscribed-mail-later-heading = One moment more
subscribed-mail-later-text = Your wish is noted, but the message with the question could not be sent just now. It follows as soon as possible: there is nothing for you to do.
subscribed-recorded-heading = Thank you
subscribed-recorded-text = Your answer is recorded. If it has to be made certain that the address is yours, a message with a question arrives there. You can close this page.
subscribed-blank-heading = You ticked nothing
subscribed-blank-text = So you have not agreed to receive anything. To change that, go back and tick what you would like.
subscribed-return = Back to { $sender }

## The answer to the question in the mail

confirm-title = Your answer to { $sender }
confirm-heading = Would you like messages from { $sender }?
confirm-asked = This address was given to { $sender } with the wish to receive:
confirm-told = You told somebody of { $sender } that you would like messages. Tick here what you agree to.
confirm-yes = Yes, I would like to receive this
confirm-send = Send my answer
confirm-otherwise = If you do not want that, close this page: you will receive nothing.
confirm-problem-unreadable = Nothing has changed. If you agree, use the button below.
confirm-problem-changed = The page says something new since you opened it. Please read it and answer once more.
confirm-problem-nothing-ticked = You ticked nothing, so nothing has changed. Tick what you would like to receive, or close this page.
confirmed-title = Thank you
confirmed-heading = Thank you, it is confirmed
confirmed-text = You will receive from { $sender }:
confirmed-stop = You can stop at any time by the link in every message. You can close this page.
confirm-over-title = This question is over
confirm-over-unknown-heading = This link does not work
confirm-over-unknown-text = It may be incomplete: nothing has changed. Open it from the original message, or sign up once more.
confirm-over-late-heading = This question is too old
confirm-over-late-text = It was not answered in time, so you will receive nothing. If you would still like to, sign up once more.
confirm-over-withdrawn-heading = You have said no since
confirm-over-withdrawn-text = After this question you asked to receive nothing more, and that counts: an older link does not change it. If you have changed your mind, sign up once more.
confirm-over-again = Sign up with { $sender } once more

## The mail that asks

question-subject = { $sender }: please confirm
question-asked =
    Hello,

    this address was given to { $sender } with the wish to receive messages about:

    { $topics }

    Was that you? Then confirm it on this page, by { $until }:
    { $link }
question-told =
    Hello,

    you told us that you would like to receive messages from { $sender } about:

    { $topics }

    Tick on this page what you agree to, by { $until }:
    { $link }
question-repeated = We asked you before. This is the only reminder.
question-otherwise = If you do not want that, there is nothing to do: without your answer you will receive nothing.

## Choices: what is received, how often, by which ways

own-title = Your choices
own-heading = Your choices with { $sender }
own-for = They are about messages to { $address }.
own-left = You receive no advertising from { $sender }. Nothing changes unless you tick a topic.
own-topics = What you receive
own-question = I want { $sender } to send me advertising by e-mail about the topics I tick, and none about the others. I can change this at any time.
own-includes = Includes { $topics }: switched off with it.
own-ground-customer = Sent to you as a customer, without your consent being needed. Untick it and it ends.
own-ground-professional = Sent to you because of your work. Untick it and it ends.
own-ground-generic = Sent because this is the address of a firm. Untick it and it ends.
own-ground-non_commercial = Sent to you as a supporter. Untick it and it ends.
own-limit-of = How often: { $topic }
own-limit-none = no limit
own-limit-day = { $count ->
    [1] once a day at most
   *[other] { $count } times a day at most
 }
own-limit-week = { $count ->
    [1] once a week at most
   *[other] { $count } times a week at most
 }
own-limit-month = { $count ->
    [1] once a month at most
   *[other] { $count } times a month at most
 }
own-how-often = How often, and when not
own-limit-all = All topics together
own-pause = No advertising before this day
own-pause-hint = Leave it empty for no pause. A year is the longest; for no end, switch everything off.
own-channels = Other ways
own-channels-hint = Recorded for { $sender }, who has to respect it there too. A tick is a preference and does not replace the consent they need for text messages.
own-channel-sms = Text message (SMS)
own-channel-phone = Telephone
own-channel-post = Post
own-channel-push = Notice in the app
own-info-who = { $sender } collects this to send you what you chose, and keeps it as proof.
own-info-stop = You can stop at any time, here or with the link in every message, without giving a reason.
own-info-privacy = What happens with your data, and your rights
own-save = Save my choices
own-off-heading = No more advertising
own-off-intro = One act for everything { $sender } sends as advertising by e-mail, now and in future.
own-off = Switch everything off
own-choose = Choose topic by topic
own-data-heading = Your data
own-data-intro = See what is known about you, change your address, or have everything erased.
own-data-intro-code = To see, change or erase what is known about you, prove that you read the mail of the address: a link may have been passed on.
own-data-intro-code-to = To see, change or erase what is known about you, prove that you read the mail of { $address }: a link may have been passed on.
own-data = See my data
own-back = Back
own-return = Back to my choices

## Saved

own-saved-title = Noted
own-saved-heading = Noted
own-saved-unchanged = You changed nothing, so nothing was changed.
own-saved-on = You want to receive from { $sender }:
own-saved-off = You no longer want to receive from { $sender }:
own-saved-off-with-another = Off as well, since they belong to a topic you switched off:
own-saved-not-yet = These begin only once you have confirmed them:
own-saved-unproven = You had said no to these topics, so they stay off: a link may have been passed on. Ask for a code on the page of choices, and then switch them on again:
own-saved-overtaken = These stay as they are. Something was said about them after you opened the page; open it again and choose anew:
own-saved-wishes = How often, the pause or the other ways are noted.
own-saved-wishes-overtaken = How often, the pause or the other ways were changed elsewhere after you opened the page and stay so; open it again and choose anew.
own-saved-now = This counts from now on. A message already on its way may still arrive.
own-saved-nobody = If your address is not on record any more, a “no” is kept all the same, without the address. To receive something again, sign up anew with the sender.

## Entering with a code

own-address-heading = Your choices and your data
own-address-intro = Enter the address that receives the messages: a code is sent there, and then you see your choices.
own-code-intro = If the address exists, a message with a six-digit code arrives there within minutes. It is valid for 15 minutes. Nothing has changed so far.
own-code-intro-to = A message with a six-digit code is on its way to { $address }. It is valid for 15 minutes. Nothing has changed so far.
own-code-none = Nothing received? Go back and ask for another code.
own-senders-heading = Whose messages?
own-senders-intro = Each sender has its own choices.
own-problem-heading = That did not work
own-problem-no-address = This is no address: write it like “name@example.org”.
own-problem-too-often = Too many codes have been asked for. Use the last one you received, or try again later.
own-problem-not-sent = The code could not be sent and nothing has changed. Try again in a few minutes, or write to the sender.
own-problem-wrong-code = This is not the code. Attempts left: { $attempts }.
own-problem-code-is-over = This code is no longer valid and nothing has changed. Ask for a new one.
own-problem-pause = Nothing was saved: the day of the pause has to lie ahead, within a year, written like 2027-03-31.
own-problem-same-address = This is the address you have. Write the new one.
own-broken-heading = Nothing was changed
own-broken-text = The page came back incomplete, or with something in it that it did not contain. Go back, choose again and save.
own-no-controller-heading = There is no such sender
own-no-controller-text = The address of this page names nobody this site works for. Check it, or write to the sender you mean.

## Data

own-data-title = Your rights and your data
own-data-for = You have shown that you read the mail of { $address }. What would you like { $sender } to do?
own-access-heading = See what is known
own-access-intro = Everything { $sender } holds about you here: what you said and when, what was sent or withheld and why.
own-access-page = Download as a page
own-access-json = Download as data (JSON)
own-move-heading = Correct the address
own-move-intro = You have another address now? A code goes there too. Anything else that is wrong, { $sender } corrects: write to them, below.
own-move-address = Your new e-mail address
own-move-send = Send a code to the new address
own-move-title = Your new address
own-move-code-intro = A message with a six-digit code is on its way to the new address, if it exists. Nothing changes until you enter it.
own-move-consents = What goes along
own-move-question = At the new address I want { $sender } to send me advertising by e-mail about the topics I tick. I can change this at any time.
own-move-objections = Whatever you refused stays refused at the new address.
own-move-purchases = What you bought stays with the old address.
own-move-old = The old address receives no more advertising from { $sender }.
own-move-now = Change my address
own-erase-heading = Erase
own-erase-intro = What names you is deleted. You are asked once more.
own-erase = Erase my data
own-erase-title = Erase your data?
own-erase-goes = Everything that connects { $address } with { $sender } here is deleted. This cannot be undone.
own-erase-stays = What stays, because the law wants it:
own-erase-stays-mark = if you refused advertising: a mark made from your address, from which nobody can read it, so that the refusal goes on counting;
own-erase-stays-proof = the proof of what was said and sent, without who said it and to whom.
own-erase-keep-mark = And no advertising from { $sender } ever again: keep that mark for me.
own-erase-now = Erase now
own-erase-not = No, go back
own-erase-sender = { $sender } may hold more elsewhere, such as orders and invoices: write to them for that.
own-done-title = Done
own-done-off = You will receive no more advertising from { $sender } by e-mail. A message already on its way may still arrive.
own-done-erased = What named you is deleted. The link in old messages goes on working if you want to refuse advertising.
own-done-moved = Your new address is noted, with what you refused and what you ticked. { $sender } sees that the old one is not to be used any more.

## The page of rights

rights-title = Your rights with { $sender }
rights-intro = { $sender } has to honour these free of charge, and you need give no reason:
rights-object = Object: receive no more advertising.
rights-access = Access: see everything that is known about you.
rights-rectify = Rectify: have your address corrected.
rights-erase = Erase: have your data deleted.
rights-code = Enter your address. A code is sent there, so that nobody else can ask in your name.
rights-otherwise = Without this page: write to the address below. You may also complain to the data-protection authority of your country.
rights-reply =
    Hello,

    you may object to our messages, see what we know about you, have it corrected
    or erased. It takes your e-mail address and a code that is sent there:

        { $page }

    You may also answer this message. We act on it within a month at the latest,
    on an objection at once.

    { $sender }

## The message with a code for choices and data

own-code-subject = Your code
own-code-text =
    Hello,

    your code to choose what you receive, and to see, move or erase your data:

        { $code }

    Enter it within 15 minutes on the page where you asked for it:
    { $page }

    You did not ask for anything? Then there is nothing to do: without this code
    nothing changes. Do not pass it on to anybody.
